/** The part of the set-up that the demo asks as well. */
export function findProgram(name: string, path?: string): string | undefined;
export function isStatic(file: string): boolean;
