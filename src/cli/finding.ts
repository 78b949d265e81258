/** What an examination found of one thing. */
export interface Finding {
  readonly state: 'good' | 'doubtful' | 'bad'
  readonly subject: string
  readonly message: string
  /** What to do about it. */
  readonly advice?: string
  /** The configuration names something that is not there. */
  readonly isBadInput?: boolean
}
