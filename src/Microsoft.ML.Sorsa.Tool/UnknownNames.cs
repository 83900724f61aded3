using System.CommandLine;
using System.CommandLine.Parsing;
using Microsoft.ML.Sorsa.Tool.Verbs;

namespace Microsoft.ML.Sorsa.Tool;

/// <summary>What the command line has and sorsa has not: said with the name that was meant, if one is near.</summary>
internal static class UnknownNames
{
    /// <exception cref="CommandException">The command line is none that can be run.</exception>
    public static void Verify(ParseResult parse)
    {
        string verb = parse.CommandResult.Command is Verb known ? $"sorsa {known.Name}" : "sorsa";
        string help = $"'{verb} --help' lists what there is.";
        string? unknown = OptionsTakenForArguments(parse).Concat(parse.UnmatchedTokens).FirstOrDefault();
        if (unknown is not null)
        {
            bool isOption = unknown.StartsWith('-');
            string name = unknown.Split('=', 2)[0];
            string? near = Spelling.Nearest(
                name, isOption ? Options(parse) : parse.CommandResult.Command.Subcommands.Select(verb => verb.Name));
            throw new CommandException(ExitCode.Usage, string.Join(' ', new[]
            {
                isOption ? $"There is no option {name}."
                    : parse.CommandResult.Command is Verb ? $"'{unknown}' is one argument too many." : $"There is no verb {unknown}.",
                near is null ? null : $"Did you mean {near}?",
                help,
            }.Where(part => part is not null)));
        }

        if (parse.CommandResult.Command is not Verb)
        {
            throw new CommandException(ExitCode.Usage,
                $"No verb is named. Use one of {string.Join(", ", parse.CommandResult.Command.Subcommands.Select(verb => verb.Name))}.");
        }

        // None, or the next option taken for one.
        if (parse.CommandResult.Children.OfType<OptionResult>().FirstOrDefault(
            option => !option.Implicit && (option.Tokens.Count < option.Option.Arity.MinimumNumberOfValues
                || option.Tokens.Any(token => Options(parse).Contains(token.Value)))) is { } empty)
        {
            throw new CommandException(ExitCode.Usage, $"{empty.Option.Name} has no value. {help}");
        }

        if (parse.Errors.Count > 0)
        {
            throw new CommandException(ExitCode.Usage, $"{Message(parse.Errors[0])} {help}");
        }
    }

    /// <summary>The parser itself reads numbers and flags alone, and calls them by C#'s types.</summary>
    private static string Message(ParseError error)
    {
        if (error.SymbolResult is not OptionResult { Option: var option, Tokens: [.., var token] }
            || !error.Message.Contains($"'{option.ValueType}'", StringComparison.Ordinal))
        {
            return error.Message;
        }

        Type type = Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType;
        string? kind = type == typeof(int) ? "a whole number" : type == typeof(double) ? "a number"
            : type == typeof(bool) ? "true or false" : null;
        return kind is null ? error.Message : $"{option.Name} is '{token.Value}'; it must be {kind}.";
    }

    /// <summary>Behind -- everything is an argument; before it, what begins with a dash and a letter is meant to be an option.</summary>
    private static IEnumerable<string> OptionsTakenForArguments(ParseResult parse)
    {
        int behind = parse.Tokens.Reverse().TakeWhile(token => token.Type != TokenType.DoubleDash).Count();
        bool hasDashes = behind < parse.Tokens.Count;
        Token[] arguments = [.. parse.CommandResult.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens)];
        return arguments.SkipLast(hasDashes ? behind : 0).Select(token => token.Value)
            .Where(value => value is ['-', '-', var first, ..] && char.IsAsciiLetter(first) && !value.Contains(' '));
    }

    private static IEnumerable<string> Options(ParseResult parse)
    {
        IEnumerable<Option> options = parse.CommandResult.Command.Options;
        return options.Concat(parse.RootCommandResult.Command.Options).SelectMany(option => option.Aliases.Append(option.Name));
    }
}
