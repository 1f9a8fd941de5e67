// Wallets for tests: what browsers' wallets offer to pages, with keys made anew. Nothing here is fast, or safe to reuse.

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

const hex = (bytes) => Buffer.from(bytes).toString('hex')

/** An Ethereum wallet as EIP-1193 has it: accounts, the chain's number, `personal_sign`. */
export function ethereumWallet() {
  const key = number(randomBytes(32)) % (N - 1n) + 1n
  const [x, y] = multiply(key, G)
  const address = `0x${hex(keccak256(Buffer.concat([bytes32(x), bytes32(y)])).subarray(12))}`
  return {
    address,
    async request({ method, params }) {
      switch (method) {
        case 'eth_requestAccounts': return [address]
        case 'eth_chainId': return '0x1'
        case 'personal_sign': return personalSign(key, Buffer.from(params[0].slice(2), 'hex'))
        default: throw new Error(`the wallet does not know ${method}`)
      }
    },
  }
}

/** EIP-191: the digest of the text with its length before it, signed so that the key can be recovered. */
function personalSign(key, text) {
  const digest = number(keccak256(Buffer.concat([Buffer.from(`\x19Ethereum Signed Message:\n${text.length}`), text])))
  const k = number(randomBytes(32)) % (N - 1n) + 1n
  const [x, y] = multiply(k, G)
  const r = x % N
  let s = mod(inverse(k, N) * (digest + r * key), N)
  let parity = y & 1n
  if (s > N / 2n) [s, parity] = [N - s, parity ^ 1n]
  return `0x${hex(bytes32(r))}${hex(bytes32(s))}${(27n + parity).toString(16)}`
}

/** A Solana wallet: `signIn()` of the wallet standard, or the older `signMessage()`. */
export function solanaWallet({ standard }) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const address = base58(Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url'))
  const signed = (message) => new Uint8Array(sign(null, message, privateKey))
  if (!standard) return { address, publicKey: { toBase58: () => address }, signMessage: async (message) => signed(message) }
  return {
    address,
    async signIn(input) {
      const fields = [['URI', input.uri], ['Version', input.version], ['Chain ID', input.chainId], ['Nonce', input.nonce], ['Issued At', input.issuedAt]]
      const text = [
        `${input.domain} wants you to sign in with your Solana account:\n${address}`,
        ...(input.statement ? [input.statement] : []),
        fields.filter(([, value]) => value).map(([name, value]) => `${name}: ${value}`).join('\n'),
      ].join('\n\n')
      const signedMessage = new TextEncoder().encode(text)
      return { signedMessage, signature: signed(signedMessage) }
    },
  }
}

function base58(bytes) {
  const letters = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  let [value, text] = [number(bytes), '']
  for (; value > 0n; value /= 58n) text = letters[Number(value % 58n)] + text
  return '1'.repeat([...bytes].findIndex((byte) => byte !== 0)) + text
}

// The group of secp256k1 (SEC 2).
const P = 2n ** 256n - 2n ** 32n - 977n
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const G = [
  0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
]
const mod = (value, by) => ((value % by) + by) % by
const number = (bytes) => BigInt(`0x${hex(bytes) || '0'}`)
const bytes32 = (value) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex')

function inverse(value, by) {
  let [rest, next, one, other] = [mod(value, by), by, 1n, 0n]
  while (next !== 0n) {
    const times = rest / next
    ;[rest, next] = [next, rest - times * next]
    ;[one, other] = [other, one - times * other]
  }
  return mod(one, by)
}

function add(a, b) {
  if (!a) return b
  if (!b) return a
  if (a[0] === b[0] && a[1] !== b[1]) return null
  const slope = a[0] === b[0] ? 3n * a[0] * a[0] * inverse(2n * a[1], P) : (b[1] - a[1]) * inverse(b[0] - a[0], P)
  const x = mod(slope * slope - a[0] - b[0], P)
  return [x, mod(slope * (a[0] - x) - a[1], P)]
}

function multiply(times, point) {
  let sum = null
  for (; times > 0n; times >>= 1n) {
    if (times & 1n) sum = add(sum, point)
    point = add(point, point)
  }
  return sum
}

/** Keccak with 256 bits, as Ethereum has it: SHA-3 with the older padding. */
function keccak256(message) {
  const rate = 136
  const padded = Buffer.alloc((Math.floor(message.length / rate) + 1) * rate)
  Buffer.from(message).copy(padded)
  padded[message.length] ^= 0x01
  padded[padded.length - 1] ^= 0x80
  const state = new Array(25).fill(0n)
  for (let at = 0; at < padded.length; at += rate) {
    for (let lane = 0; lane < rate / 8; lane++) state[lane] ^= padded.readBigUInt64LE(at + lane * 8)
    permute(state)
  }
  const out = Buffer.alloc(32)
  for (let lane = 0; lane < 4; lane++) out.writeBigUInt64LE(state[lane], lane * 8)
  return out
}

const rotate = (lane, by) => BigInt.asUintN(64, (lane << by) | (lane >> (64n - by)))

/** The 24 rounds of Keccak-f[1600] (FIPS 202, §3). */
function permute(a) {
  let bits = 1
  for (let round = 0; round < 24; round++) {
    const columns = [0, 1, 2, 3, 4].map((x) => a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20])
    for (let x = 0; x < 5; x++) {
      const change = columns[(x + 4) % 5] ^ rotate(columns[(x + 1) % 5], 1n)
      for (let y = 0; y < 25; y += 5) a[x + y] ^= change
    }
    let [x, y, lane] = [1, 0, a[1]]
    for (let step = 0; step < 24; step++) {
      ;[x, y] = [y, (2 * x + 3 * y) % 5]
      const turned = rotate(lane, BigInt((((step + 1) * (step + 2)) / 2) % 64))
      ;[lane, a[x + 5 * y]] = [a[x + 5 * y], turned]
    }
    for (let row = 0; row < 25; row += 5) {
      const old = a.slice(row, row + 5)
      for (let x = 0; x < 5; x++) a[row + x] = old[x] ^ (BigInt.asUintN(64, ~old[(x + 1) % 5]) & old[(x + 2) % 5])
    }
    for (let j = 0; j < 7; j++) {
      if (bits & 1) a[0] ^= 1n << BigInt((1 << j) - 1)
      bits = (bits << 1) ^ (bits & 0x80 ? 0x171 : 0)
    }
  }
}
