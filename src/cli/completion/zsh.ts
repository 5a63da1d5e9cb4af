/**
 * The completion of zsh, as a script: to be evaluated after `compinit`, or a file `_mount-session` in `fpath`.
 * Layer: cli.
 *
 * Invariant: candidates are shown with what they are; what may go on gets no space after it.
 */

export const zshScript = `#compdef mount-session
# zsh completion of mount-session: source <(mount-session completion zsh)
_mount_session() {
  local line text
  local -a texts shown nospace directives
  while IFS= read -r line; do
    if [[ $line == :* ]]; then
      directives=(\${(s:,:)line#:})
    else
      text=\${line%%$'\\t'*}
      texts+=("$text")
      shown+=("$text  \${line#*$'\\t'}")
    fi
  done < <("\${words[1]/#\\~/$HOME}" complete -- "\${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)
  (( \${directives[(Ie)nospace]} )) && nospace=(-S '')
  (( \${#texts} )) && compadd -l -Q $nospace -d shown -- "\${(@q)texts}"
  (( \${directives[(Ie)file]} )) && _files
  (( \${directives[(Ie)directory]} )) && _files -/
  return 0
}
if [[ $funcstack[1] == _mount-session ]]; then
  _mount_session "$@"
else
  compdef _mount_session mount-session
fi
`
