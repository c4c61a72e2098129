/**
 * A chart as an SVG drawing. The statuses stand in one row, in the chart's order. What leads to a later one runs above them, what leads back
 * below, each way at a height of its own where another one is in the way; so no line ever crosses a box. Text is set in a fixed pitch, for its
 * width has to be known without asking a font.
 */
import type { ChartGraph } from "../../machines/mod.ts";
import { edgeLabel, staysOf } from "./chart-mermaid.ts";

/** All in pixels. */
const MARGIN = 24;
const CHARACTER = { name: 8.4, label: 6.6 };
const FONT_SIZE = { name: 14, label: 11 };
const LINE = 14;
const BOX_PADDING = 12;
const PORT_GAP = 14;
const GAP_MIN = 36;

/** Commands that leave a status as it is and stand in its box by name; of more, the number. */
const STAYS_NAMED_MAX = 3;

/** All ways from one status to another, which are drawn as one. */
interface Way {
  readonly from: number;
  readonly to: number;
  readonly labels: string[];
}

interface Lane {
  readonly way: Way;
  /** Distance of its line from the row of boxes. */
  readonly distance: number;
}

/** Above the boxes, or below. */
type Side = -1 | 1;

interface Box {
  readonly x: number;
  readonly width: number;
}

export function svgChart(graph: ChartGraph): string {
  const { name, initial, statuses } = graph;
  const texts = statuses.map((status) => [status, ...staysText(staysOf(graph.edges, status))]);
  const ways = waysOf(graph);
  const above = lanesOf(ways.filter(({ from, to }) => from < to));
  const below = lanesOf(ways.filter(({ from, to }) => from > to));
  const boxes = boxesOf(texts, ways);
  const height = Math.max(...texts.map((lines) => lines.length)) * LINE + 2 * BOX_PADDING;
  const top = MARGIN + depth(above);
  const bottom = top + height;
  const size = { width: boxes.at(-1)!.x + boxes.at(-1)!.width + MARGIN, height: bottom + depth(below) + MARGIN };
  const start = boxes[statuses.indexOf(initial)]!.x;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${round(size.width)} ${round(size.height)}" font-family="monospace">`,
    `  <title>${escaped(name)}</title>`,
    '  <defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0 8,4 0,8z"/></marker></defs>',
    `  <rect width="100%" height="100%" fill="white"/>`,
    `  <circle cx="${round(start - 20)}" cy="${round(top + height / 2)}" r="5"/>`,
    line(`M${round(start - 15)},${round(top + height / 2)} H${round(start)}`),
    ...boxes.flatMap((box, index) => boxLines(box, top, height, texts[index]!)),
    ...above.map((lane) => laneLine(lane, above, boxes, top, -1)),
    ...below.map((lane) => laneLine(lane, below, boxes, bottom, 1)),
    ...above.flatMap((lane) => laneWords(lane, above, boxes, top, -1)),
    ...below.flatMap((lane) => laneWords(lane, below, boxes, bottom, 1)),
    "</svg>",
  ].join("\n");
}

function staysText(stays: readonly string[]): readonly string[] {
  return stays.length > STAYS_NAMED_MAX
    ? [`stays on ${stays.length} commands`]
    : stays.map((each) => `stays on ${each}`);
}

function waysOf({ statuses, edges }: ChartGraph): readonly Way[] {
  const ways: Way[] = [];
  for (const edge of edges.filter(({ from, to }) => from !== to)) {
    const [from, to] = [statuses.indexOf(edge.from), statuses.indexOf(edge.to)];
    const way = ways.find((each) => each.from === from && each.to === to);
    if (way === undefined) ways.push({ from, to, labels: [edgeLabel(edge)] });
    else way.labels.push(edgeLabel(edge));
  }
  return ways;
}

const span = ({ from, to }: Way): number => Math.abs(from - to);
const firstOf = ({ from, to }: Way): number => Math.min(from, to);
const lastOf = ({ from, to }: Way): number => Math.max(from, to);

/** Short ways near the boxes, long ones over them; those that lie beside each other may share a height. */
function lanesOf(ways: readonly Way[]): readonly Lane[] {
  const lanes: Lane[] = [];
  for (const way of ways.toSorted((a, b) => span(a) - span(b) || firstOf(a) - firstOf(b))) {
    const under = lanes.filter((lane) => firstOf(lane.way) < lastOf(way) && firstOf(way) < lastOf(lane.way));
    const distance = Math.max(0, ...under.map((lane) => lane.distance)) + way.labels.length * LINE + 8;
    lanes.push({ way, distance });
  }
  return lanes;
}

const depth = (lanes: readonly Lane[]): number => Math.max(0, ...lanes.map(({ distance }) => distance)) + LINE;

/** Each box as wide as its text and its lines' ends, and as far from the next as the words between them are long. */
function boxesOf(texts: readonly (readonly string[])[], ways: readonly Way[]): readonly Box[] {
  const widths = texts.map((lines, index) => {
    const ends = (later: boolean) =>
      ways.filter(({ from, to }) => (from === index || to === index) && from < to === later).length;
    const text = Math.max(...lines.map((each, at) => each.length * (at === 0 ? CHARACTER.name : CHARACTER.label)));
    return Math.max(text + 2 * BOX_PADDING, (Math.max(ends(true), ends(false)) + 1) * PORT_GAP);
  });
  let x = MARGIN + 20;
  return widths.map((width, index) => {
    const box = { x, width };
    const between = ways.filter((way) => firstOf(way) === index && lastOf(way) === index + 1);
    const longest = Math.max(
      0,
      ...between.flatMap(({ labels }) => labels.map((each) => each.length * CHARACTER.label)),
    );
    x += width + Math.max(GAP_MIN, longest);
    return box;
  });
}

/** Where on the box the way's line ends: those to the left first, and inner ones nearest to the box beside, so that few lines cross. */
function port(way: Way, index: number, lanes: readonly Lane[], { x, width }: Box): number {
  const left = (each: Way) => lastOf(each) === index;
  const ends = lanes.map((lane) => lane.way).filter(({ from, to }) => from === index || to === index);
  const order = [
    ...ends.filter(left).toSorted((a, b) => span(a) - span(b)),
    ...ends.filter((each) => !left(each)).toSorted((a, b) => span(b) - span(a)),
  ];
  return x + (width * (order.indexOf(way) + 1)) / (order.length + 1);
}

function laneLine(
  { way, distance }: Lane,
  lanes: readonly Lane[],
  boxes: readonly Box[],
  edge: number,
  side: Side,
): string {
  const [from, to] = endsOf(way, lanes, boxes);
  return line(`M${round(from)},${round(edge)} V${round(edge + side * distance)} H${round(to)} V${round(edge)}`);
}

/** The words stand between the line and the boxes, where the line's distance leaves room for them. */
function laneWords(
  { way, distance }: Lane,
  lanes: readonly Lane[],
  boxes: readonly Box[],
  edge: number,
  side: Side,
): string[] {
  const [from, to] = endsOf(way, lanes, boxes);
  const y = edge + side * distance;
  const first = side === -1 ? y + LINE - 2 : y - 4 - (way.labels.length - 1) * LINE;
  return way.labels.map((label, index) => words((from + to) / 2, first + index * LINE, label, "label", HALO));
}

const endsOf = (way: Way, lanes: readonly Lane[], boxes: readonly Box[]) =>
  [way.from, way.to].map((index) => port(way, index, lanes, boxes[index]!)) as [number, number];

function boxLines({ x, width }: Box, top: number, height: number, lines: readonly string[]): string[] {
  const [status, ...stays] = lines;
  return [
    `  <rect x="${round(x)}" y="${round(top)}" width="${round(width)}" height="${round(height)}" rx="8" fill="#eef2f7" stroke="black"/>`,
    words(x + width / 2, top + BOX_PADDING + LINE - 2, status!, "name", BOLD),
    ...stays.map((each, index) => words(x + width / 2, top + BOX_PADDING + (index + 2) * LINE - 2, each, "label", "")),
  ];
}

const line = (path: string): string => `  <path d="${path}" fill="none" stroke="black" marker-end="url(#arrow)"/>`;

/** A white edge, so that a line behind the words does not cross them out. */
const HALO = ' paint-order="stroke" stroke="white" stroke-width="3"';
const BOLD = ' font-weight="bold"';

const words = (x: number, y: number, written: string, kind: keyof typeof FONT_SIZE, style: string): string =>
  `  <text x="${round(x)}" y="${round(y)}" font-size="${FONT_SIZE[kind]}" text-anchor="middle"${style}>${escaped(written)}</text>`;

const round = (value: number): number => Math.round(value * 10) / 10;

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const escaped = (written: string): string => written.replace(/[&<>]/g, (character) => entities[character]!);
