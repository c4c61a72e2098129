/**
 * The payloads of containerd's events, in one place, with the name by which an event's Any names its type.
 *
 * Owns the closed list of event types that the daemon can make and read. Topics are not its business. An event of any
 * other type is passed on as it came.
 */
import { ContainerCreate, ContainerDelete, ContainerUpdate } from "./gen/containerd/events/container.ts";
import { ContentCreate, ContentDelete } from "./gen/containerd/events/content.ts";
import { ImageCreate, ImageDelete, ImageUpdate } from "./gen/containerd/events/image.ts";
import { NamespaceCreate, NamespaceDelete, NamespaceUpdate } from "./gen/containerd/events/namespace.ts";
import { SnapshotCommit, SnapshotPrepare, SnapshotRemove } from "./gen/containerd/events/snapshot.ts";
import {
  TaskCheckpointed,
  TaskCreate,
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskIO,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
} from "./gen/containerd/events/task.ts";

export {
  ContainerCreate,
  ContainerDelete,
  ContainerUpdate,
  ContentCreate,
  ContentDelete,
  ImageCreate,
  ImageDelete,
  ImageUpdate,
  NamespaceCreate,
  NamespaceDelete,
  NamespaceUpdate,
  SnapshotCommit,
  SnapshotPrepare,
  SnapshotRemove,
  TaskCheckpointed,
  TaskCreate,
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskIO,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
};

/**
 * Codec of each payload by the type URL of its Any: the full proto name, with no host before it. Image events carry the
 * image service's package.
 */
export const payloadByTypeUrl = {
  "containerd.events.ContainerCreate": ContainerCreate,
  "containerd.events.ContainerUpdate": ContainerUpdate,
  "containerd.events.ContainerDelete": ContainerDelete,
  "containerd.events.ContentCreate": ContentCreate,
  "containerd.events.ContentDelete": ContentDelete,
  "containerd.services.images.v1.ImageCreate": ImageCreate,
  "containerd.services.images.v1.ImageUpdate": ImageUpdate,
  "containerd.services.images.v1.ImageDelete": ImageDelete,
  "containerd.events.NamespaceCreate": NamespaceCreate,
  "containerd.events.NamespaceUpdate": NamespaceUpdate,
  "containerd.events.NamespaceDelete": NamespaceDelete,
  "containerd.events.SnapshotPrepare": SnapshotPrepare,
  "containerd.events.SnapshotCommit": SnapshotCommit,
  "containerd.events.SnapshotRemove": SnapshotRemove,
  "containerd.events.TaskCreate": TaskCreate,
  "containerd.events.TaskStart": TaskStart,
  "containerd.events.TaskDelete": TaskDelete,
  "containerd.events.TaskIO": TaskIO,
  "containerd.events.TaskExit": TaskExit,
  "containerd.events.TaskOOM": TaskOOM,
  "containerd.events.TaskExecAdded": TaskExecAdded,
  "containerd.events.TaskExecStarted": TaskExecStarted,
  "containerd.events.TaskPaused": TaskPaused,
  "containerd.events.TaskResumed": TaskResumed,
  "containerd.events.TaskCheckpointed": TaskCheckpointed,
} as const;
