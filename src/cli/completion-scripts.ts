/**
 * What each shell needs to ask `devlxd complete`, which gets the words up to the cursor and prints candidates, one a
 * line with a tab and what it is; or `:files`.
 */
export const completionScripts = {
  bash: `# bash completion of devlxd
_devlxd() {
  local line words=("\${COMP_WORDS[@]:1:COMP_CWORD}") current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  # Bash takes = for a word of its own.
  [[ $current == = || \${COMP_WORDS[COMP_CWORD - 1]} == = ]] && return
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o default 2>/dev/null
      return
    fi
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(devlxd complete -- "\${words[@]}" 2>/dev/null)
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *[.=] ]] && compopt -o nospace 2>/dev/null
}
complete -F _devlxd devlxd`,
  zsh: `#compdef devlxd
_devlxd() {
  local line
  local -a found
  for line in "\${(@f)$(devlxd complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -z $line ]] && continue
    if [[ $line == :files ]]; then
      _files
      return
    fi
    found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe devlxd found
}
if [[ $funcstack[1] == _devlxd ]]; then
  _devlxd "$@"
else
  compdef _devlxd devlxd
fi`,
  fish: `# fish completion of devlxd
function __devlxd_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (devlxd complete -- $words[2..-1] 2>/dev/null)
    if test "$found" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $found
    end
end
complete -c devlxd -f -a '(__devlxd_complete)'`,
} as const;
