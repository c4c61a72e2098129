/** The public face of volumes: what containers have mounted besides their roots. */
export { Arrangements, type ArrangementsOptions, isPlaceNeeded } from "./arrangements.ts";
export { changeSpec } from "./spec.ts";
export { volumeLabel } from "./wishes.ts";
