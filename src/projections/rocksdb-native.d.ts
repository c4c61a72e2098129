/** The part of rocksdb-native that the row store uses; the package ships no types. Read from its index.js and lib/. */
declare module "rocksdb-native" {
  interface Range {
    readonly gt?: Buffer;
    readonly gte?: Buffer;
    readonly lt?: Buffer;
    readonly lte?: Buffer;
  }

  export interface ReadBatch {
    get(key: Buffer): Promise<Buffer | null>;
    tryFlush(): void;
  }

  interface WriteBatch {
    tryPut(key: Buffer, value: Buffer): void;
    tryDelete(key: Buffer): void;
    flush(): Promise<void>;
  }

  export default class RocksDB {
    constructor(path: string, options?: { readonly readOnly?: boolean; readonly createIfMissing?: boolean });
    ready(): Promise<void>;
    get(key: Buffer): Promise<Buffer | null>;
    read(options?: { readonly autoDestroy?: boolean }): ReadBatch;
    write(options?: { readonly capacity?: number; readonly autoDestroy?: boolean }): WriteBatch;
    iterator(
      range: Range,
      options?: { readonly reverse?: boolean; readonly limit?: number; readonly capacity?: number },
    ): AsyncIterable<{ readonly key: Buffer; readonly value: Buffer }>;
    snapshot(): RocksDB;
    close(): Promise<void>;
  }
}
