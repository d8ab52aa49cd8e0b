// SPDX-License-Identifier: Apache-2.0
// JavaScript that gets compiled, and what node does in C++: zlib, hashes, JSON, regular expressions.
const crypto = require('node:crypto')
const zlib = require('node:zlib')

function fibonacci(n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2)
}

function parseAndSort(text) {
  const rows = JSON.parse(text)
  rows.sort((a, b) => a.name.localeCompare(b.name) || a.count - b.count)
  return JSON.stringify(rows.map((row) => ({ ...row, name: row.name.replace(/\d+/g, (d) => d * 2) })))
}

const text = JSON.stringify(Array.from({ length: 500 }, (_, i) => ({ name: `name${(i * 7919) % 499}`, count: i })))

function turn() {
  fibonacci(22)
  const out = parseAndSort(text)
  zlib.deflateSync(out)
  crypto.createHash('sha256').update(out).digest('hex')
  setImmediate(turn)
}

turn()
