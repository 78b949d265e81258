import type { Library } from '../../mirror/index.ts'

/** What is mirrored, as one client may see it: what it may not read is as if it were not there, or rejects. */
export type ReadableLibrary = Pick<Library, 'find' | 'refs' | 'has'>
