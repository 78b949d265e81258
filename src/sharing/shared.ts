/** What is under way by this key, or else begun. */
export function shared<Found>(
  underWay: Map<string, Promise<Found>>,
  key: string,
  begin: () => Promise<Found>,
): Promise<Found> {
  let promise = underWay.get(key)
  if (promise === undefined) {
    promise = begin().finally(() => underWay.delete(key))
    underWay.set(key, promise)
  }
  return promise
}
