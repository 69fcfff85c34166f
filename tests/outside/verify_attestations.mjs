// Judge attestations with sigstore's own JavaScript verifier, offline, and hold their subjects against files.
//
// Usage: node verify_attestations.mjs NODE_MODULES < cases.json
//
// A case is {"attestation": PATH, "key": PEM, "predicateType": URI, "folder": PATH, "authority": [PEM...]}, the
// authority's certificates from its signer to its root; the answer is one line of JSON for all: null where a
// case is accepted, else why it is not.

import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.argv[2], 'here.js'));
const { bundleFromJSON } = require('@sigstore/bundle');
const { Verifier, toSignedEntity } = require('@sigstore/verify');

const { X509Certificate } = require('@sigstore/core');

const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

function judge({ attestation, key, predicateType, folder, authority }) {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(attestation, 'utf8')));
  const certChain = authority.map((pem) => X509Certificate.parse(pem));
  const validFor = { start: new Date(0), end: new Date(8.64e15) };
  const trusted = {
    certificateAuthorities: [], tlogs: [], ctlogs: [],
    timestampAuthorities: certChain.length ? [{ certChain, validFor }] : [],
    publicKey: () => ({ publicKey: createPublicKey(key), validFor: () => true }),
  };
  const verifier = new Verifier(trusted, { tlogThreshold: 0, ctlogThreshold: 0, tsaThreshold: certChain.length ? 1 : 0 });
  verifier.verify(toSignedEntity(bundle));
  const statement = JSON.parse(bundle.content.dsseEnvelope.payload.toString('utf8'));
  if (statement.predicateType !== predicateType) throw new Error(`it is ${statement.predicateType}`);
  for (const { name, digest } of statement.subject) {
    if (sha256(join(folder, name)) !== digest.sha256) throw new Error(`${name} was changed`);
  }
}

const cases = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(cases.map((one) => {
  try {
    judge(one);
    return null;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
})));
