import type Koa from 'koa'
import type { Arrival } from './arrival.ts'
import type { ReadyReply } from './delivery/ready-reply.ts'
import type { Admission } from './gate/admission.ts'
import type { ReceivedRequest } from './received-request.ts'

/** What the stages hand on, each set once: by whoever parses, lets in, and answers. */
export interface RequestState extends Koa.DefaultState {
  arrival: Arrival
  request: ReceivedRequest
  admission: Admission
  reply: ReadyReply
}

export type Context = Koa.ParameterizedContext<RequestState>
