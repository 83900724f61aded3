using System.CommandLine;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>Prints what makes a shell complete verbs, options and their values: it asks sorsa itself, by the directive [suggest].</summary>
internal sealed class CompletionVerb : Verb
{
    private static readonly Dictionary<string, string> s_scripts = new(StringComparer.Ordinal)
    {
        ["bash"] = """
            _sorsa()
            {
                local IFS=$'\n'
                COMPREPLY=($(compgen -W "$(sorsa "[suggest:$COMP_POINT]" "$COMP_LINE" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
            }
            complete -o default -F _sorsa sorsa
            """,
        ["zsh"] = """
            _sorsa()
            {
                local completions=("${(@f)$(sorsa "[suggest:$CURSOR]" "$BUFFER" 2>/dev/null)}")
                [ -n "$completions" ] && compadd -a completions || _files
            }
            compdef _sorsa sorsa
            """,
        ["pwsh"] = """
            Register-ArgumentCompleter -Native -CommandName sorsa -ScriptBlock {
                param($word, $line, $cursor)
                sorsa "[suggest:$cursor]" "$line" 2>$null | Where-Object { $_ -like "$word*" } |
                    ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }
            }
            """,
    };

    private readonly Argument<string> _shell = new("shell") { Description = "bash, zsh or pwsh." };

    public CompletionVerb(Shell shell)
        : base(shell, "completion", "Prints the lines that make a shell complete sorsa's options.")
    {
        _shell.AcceptOnlyFromAmong([.. s_scripts.Keys]);
        Arguments.Add(_shell);
    }

    protected override JsonObject Run(Session session)
    {
        string script = s_scripts[session.Arguments.GetValue(_shell)!];
        session.Say($"{script}");
        return new JsonObject { ["script"] = script };
    }
}
