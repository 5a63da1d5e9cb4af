/**
 * The completion of bash, as a script. Layer: cli.
 *
 * Invariant: needs no bash-completion. Bash breaks words at `:` and `=`; the words are taken from the line itself,
 * and what stands before the last break is cut from the answers again.
 */

export const bashScript = `# bash completion of mount-session: eval "$(mount-session completion bash)"
_mount_session() {
  local line=\${COMP_LINE:0:COMP_POINT} current directives candidate broken
  local -a words=()
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=\${words[\${#words[@]}-1]}
  broken=\${current%"\${current##*[:=]}"}
  COMPREPLY=()
  while IFS= read -r candidate; do
    if [[ $candidate == :* ]]; then
      directives=,\${candidate#:},
    else
      candidate=\${candidate%%$'\\t'*}
      candidate=\${candidate#"$broken"}
      COMPREPLY+=("$(printf '%q' "$candidate")")
    fi
  done < <("\${words[0]/#\\~/$HOME}" complete -- "\${words[@]:1}" 2>/dev/null)
  [[ $directives == *,nospace,* ]] && compopt -o nospace 2>/dev/null
  case $directives in
    *,file,*) compopt -o filenames 2>/dev/null; mapfile -t -O \${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "\${current#"$broken"}") ;;
    *,directory,*) compopt -o filenames 2>/dev/null; mapfile -t -O \${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "\${current#"$broken"}") ;;
  esac
}
complete -F _mount_session mount-session
`
