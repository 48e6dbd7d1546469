// Prints what the suite in the folder given knows, as JSON: for each test its id, category, kind, and the
// tests that must pass before it says anything. Run within that folder.

import fs from 'fs'
import path from 'path'
import { pathToFileURL } from 'url'

const folder = path.join(process.argv[2], 'tests')
const load = async (name) => (await import(pathToFileURL(path.join(folder, name)).href)).default

const categories = await load('index.mjs')
if (fs.existsSync(path.join(folder, 'surrogate-control.mjs'))) {
  // The client of older versions adds this one by itself.
  categories.push(await load('surrogate-control.mjs'))
}
const tests = categories.flatMap(category =>
  category.tests.filter(test => !test.browser_only).map(test => ({
    id: test.id,
    category: category.id,
    title: category.name,
    kind: test.kind ?? 'required',
    needs: test.depends_on ?? []
  })))
console.log(JSON.stringify(tests))
