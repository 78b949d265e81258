export { shared } from './shared.ts'
export { SharedAnswers, type SharedAnswersOptions } from './shared-answers.ts'
export { NoTurn, Turns, type TurnsOptions } from './turns.ts'
