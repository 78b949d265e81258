/** The server that the upstream leads to for content does not give it; the message names that server. */
export class ContentFailed extends Error {}
