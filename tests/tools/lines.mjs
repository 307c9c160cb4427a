// Answers each JSON line of standard input with one JSON line, in order. It splits the lines
// itself, since node:readline may also break at U+2028, which JSON text can hold.

export async function serve(answer) {
  let rest = "";
  process.stdin.setEncoding("utf8");
  for await (const chunk of process.stdin) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      process.stdout.write(JSON.stringify(await reply(answer, line)) + "\n");
    }
  }
}

async function reply(answer, line) {
  try {
    return await answer(JSON.parse(line));
  } catch (error) {
    return { error: describe(error) };
  }
}

export function describe(error) {
  return `${error.constructor.name}: ${error.message}`;
}
