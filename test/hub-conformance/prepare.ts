import type { Account, StandInHub } from '../hub/index.ts'
import { addProductionRepositories } from './production.ts'

/** The users of the Hub's staging server that the tests sign in as. Their tokens are public. */
export function prepareHub(hub: StandInHub): void {
  addProductionRepositories(hub)
  const user = (name: string): Account => ({
    name,
    fullname: 'Dummy User',
    organizations: [
      { name: 'valid_org', fullname: 'Dummy Org' },
      { name: 'valid_org_hub', fullname: 'Dummy Hub Org' },
    ],
  })
  hub.tokens.add('hf_94wBhPGp6KrrTH3KDchhKpRxZwd6dmHWLL', user('__DUMMY_TRANSFORMERS_USER__'))
  hub.tokens.add('hf_HubCITokenXXXXXXXXXXXXXXXXXXXXX', user('__DUMMY_HUB_USER__'))
  hub.tokens.add('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', { name: 'DVUser', fullname: 'DV', organizations: [] })
  hub.tokens.add('hf_enterprise_admin_token', {
    name: 'EnterpriseAdmin',
    fullname: 'Enterprise Admin',
    organizations: [{ name: 'EnterpriseOrgPrivate', fullname: 'Enterprise' }],
    privateByDefault: ['EnterpriseOrgPrivate'],
  })
}
