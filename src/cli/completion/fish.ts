/**
 * The completion of fish, as a script. Layer: cli.
 *
 * Invariant: fish filters and shows the lines as they are answered; only paths of this machine it finds itself.
 */

export const fishScript = `# fish completion of mount-session: mount-session completion fish | source
function __mount_session_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l program (string replace -r '^~' $HOME -- $words[1])
  set -l directives
  for line in ($program complete -- $words[2..-1] $current 2>/dev/null)
    if string match -q ':*' -- $line
      set directives (string split , -- (string sub -s 2 -- $line))
    else
      echo $line
    end
  end
  if contains -- file $directives
    __fish_complete_path $current
  else if contains -- directory $directives
    __fish_complete_directories $current
  end
end
complete -c mount-session -f -a '(__mount_session_complete)'
`
