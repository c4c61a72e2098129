/** Names for content. Sources: services/images/local.go, metadata/images.go. */
import fc from "fast-check";
import { images } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { labels, maskOf, updated } from "../labels.ts";
import { digest, id, sync } from "../names.ts";
import { imageSeen } from "../picture.ts";
import { answers, collects, moves, refuses } from "../prediction.ts";

const definition = images.ImagesDefinition;

const only = fc.constantFrom("", "p");
const target = (digest: string) => ({ mediaType: "m", digest, size: 1, annotations: {} });
const message = ({ id, digest, labels }: { id: string; digest: string; labels: object }) => ({
  name: id,
  labels: { ...labels },
  target: { ...target(digest), size: 1n },
});

export const imageCommands = [
  command("images create ID DIGEST [LABELS]", {
    weight: 2,
    changes: ["images", "namespace"],
    with: { id, digest, labels },
    predict(world, { id, digest, labels }) {
      const command = { type: "CreateImage", name: id, target: target(digest), labels } as const;
      return moves(world, [{ kind: "image", key: id, command }], imageSeen(id, command));
    },
    async call(caller, given) {
      const { image } = await caller.ask(definition, "create", { image: message(given) });
      return imageSeen(image!.name, { ...image!, target: image!.target! });
    },
  }),

  command("images update [--only ONLY] ID DIGEST [LABELS]", {
    changes: ["images"],
    with: { id, only, digest, labels },
    predict(world, { id, only, digest, labels: requested }) {
      const row = world.row("image", id);
      if (row === undefined) return refuses(world, "NotFound");
      const changed = {
        labels: updated(row.labels, requested, only),
        target: only === "" ? target(digest) : row.target,
      };
      const command = { type: "UpdateImage", name: id, ...changed } as const;
      return moves(world, [{ kind: "image", key: id, command }], imageSeen(id, changed));
    },
    async call(caller, given) {
      const { image } = await caller.ask(definition, "update", {
        image: message(given),
        updateMask: maskOf(given.only),
      });
      return imageSeen(image!.name, { ...image!, target: image!.target! });
    },
  }),

  command("images delete [--sync] ID", {
    weight: 2,
    atomic: false,
    changes: ["images", "leases", "blobs", "ingests", "snapshots"],
    with: { sync, id },
    predict(world, { sync, id }) {
      const deleted = moves(world, [{ kind: "image", key: id, command: { type: "DeleteImage", name: id } }]);
      return sync ? collects(deleted) : deleted;
    },
    call: async (caller, { sync, id }) => void (await caller.ask(definition, "delete", { name: id, sync })),
  }),

  command("images info ID", {
    with: { id },
    predict(world, { id }) {
      const row = world.row("image", id);
      return row === undefined ? refuses(world, "NotFound") : answers(world, imageSeen(id, row));
    },
    async call(caller, { id }) {
      const { image } = await caller.ask(definition, "get", { name: id });
      return imageSeen(image!.name, { ...image!, target: image!.target! });
    },
  }),
];
