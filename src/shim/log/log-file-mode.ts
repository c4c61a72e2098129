/** The mode of every file of a log, as Docker and the kubelet have it: what a container prints is not for everybody. */
export const logFileMode = 0o640;
