import type { Command } from './command.js';

/** What a shell is told to complete: the verbs, and each one's flags. */
export function bashCompletion(commands: readonly Command[]): string {
  const cases = commands.map(({ name, options }) => `    ${name}) words="${flagsOf(options).join(' ')}" ;;`);
  return `# bash completion of ws-gateway:  source <(ws-gateway completion bash)
_ws_gateway() {
  local current=\${COMP_WORDS[COMP_CWORD]} words
  case \${COMP_CWORD}:\${COMP_WORDS[1]} in
    1:*) words="${commands.map(({ name }) => name).join(' ')} --help --version" ;;
    *:*) case \${COMP_WORDS[1]} in
${cases.join('\n')}
    *) words="" ;;
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _ws_gateway ws-gateway
`;
}

/** A file `_ws-gateway` for a folder of fpath: it knows the commands, their flags and what each is for. */
export function zshCompletion(commands: readonly Command[]): string {
  const verbs = commands.map(({ name, summary }) => `    '${name}:${quoted(summary)}'`);
  const cases = commands.map(({ name, options }) => {
    const flags = Object.entries(options).map(
      ([flag, { value, text }]) =>
        `'--${flag}[${quoted(text.split('\n', 1)[0] ?? '')}]${value === undefined ? '' : `:${value}:_files`}'`,
    );
    return `    ${name}) _arguments ${[...flags, "'--help[print help]'", "'*:file:_files'"].join(' ')} ;;`;
  });
  return `#compdef ws-gateway
# zsh completion of ws-gateway:  ws-gateway completion zsh > "\${fpath[1]}/_ws-gateway"
_ws_gateway() {
  local -a verbs=(
${verbs.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command verbs
    return
  fi
  local verb=\${words[2]}
  shift words
  (( CURRENT-- ))
  case $verb in
${cases.join('\n')}
  esac
}
_ws_gateway "$@"
`;
}

function flagsOf(options: Command['options']): string[] {
  return [...Object.keys(options), 'help'].map((flag) => `--${flag}`);
}

/** Of what zsh reads as syntax nothing is left. */
function quoted(text: string): string {
  return text.replaceAll(/[':[\]\\]/g, ' ');
}
