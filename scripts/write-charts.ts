/** Writes docs/reference/charts.md from the charts that decide. */
import { writeFileSync } from "node:fs";
import { chartsDocument } from "../src/cli/render/chart-document.ts";

writeFileSync(new URL("../docs/reference/charts.md", import.meta.url), chartsDocument());
