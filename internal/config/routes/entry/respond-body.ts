/** `${NAME}`, as a shell writes it. */
const VARIABLE = /\$\{([^{}]*)\}/g;

/** A fixed answer with its variables filled in, or the one that is not allowed. */
export function filledIn(
  body: string,
  variables: Readonly<Record<string, string>>,
): { readonly body: string } | { readonly fault: string } {
  for (const [written, name = ''] of body.matchAll(VARIABLE))
    if (!Object.hasOwn(variables, name))
      return { fault: `${written} is not allowed: RESPOND_VARIABLES lists what may stand here` };
  return { body: body.replaceAll(VARIABLE, (_, name: string) => variables[name] ?? '') };
}
