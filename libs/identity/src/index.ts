export { type Authority, createAuthority } from './authority.ts';
export { loadAuthority, saveAuthority } from './authority-files.ts';
export { type CertificateRequest, issueCertificate } from './issue-certificate.ts';
export {
  formatToken,
  hashSecret,
  type JoinToken,
  newTokenSecret,
  parseToken,
  pinsAuthority,
  secretMatches,
} from './join-token.ts';
export { createSigningRequest, type SigningRequest } from './signing-request.ts';
export { saveTlsFiles, type TlsFiles } from './tls-files.ts';
export { writeFileDurably } from './write-file-durably.ts';
