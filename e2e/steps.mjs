// Named steps, counted; a failed step ends its sequence, because the next ones build on it.

let passed = 0
let failed = 0

/** Runs `steps` (name → function) in order. `onFailure` may leave evidence. */
export async function sequence(title, steps, onFailure = async () => {}) {
  for (const [name, step] of Object.entries(steps)) {
    const start = performance.now()
    try {
      await step()
      passed += 1
      console.log(`  ok    ${title}: ${name} (${Math.round(performance.now() - start)} ms)`)
    } catch (error) {
      failed += 1
      console.log(`  FAIL  ${title}: ${name}\n        ${String(error?.stack ?? error).split('\n').slice(0, 6).join('\n        ')}`)
      await onFailure(name).catch(() => {})
      return false
    }
  }
  return true
}

/** Prints the count and ends the process with it. */
export function finish() {
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed === 0 && passed > 0 ? 0 : 1)
}
