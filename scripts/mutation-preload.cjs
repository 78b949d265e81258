// Stryker's mocha runner names mocha's files without their ending, which is `.cjs` since mocha 12.
const { Module } = require('node:module')

Module._extensions['.cjs'] = Module._extensions['.js']

process.env.QUICK_SEARCHES = '1'
