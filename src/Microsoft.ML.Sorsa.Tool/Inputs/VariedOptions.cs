using System.Globalization;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tool.Options;

namespace Microsoft.ML.Sorsa.Tool.Inputs;

/// <summary>What a sweep varies, as the command line writes it: rank=8,16,32 or gamma=1e-5..1e-2:log.</summary>
internal static class VariedOptions
{
    private const string Form = "NAME=A,B,C for choices, NAME=LEAST..MOST for a range, NAME=LEAST..MOST:log for one in equal factors";

    /// <exception cref="CommandException">A text is none of the forms, or names no option.</exception>
    public static SorsaSearchSpace Parse(IReadOnlyList<string> texts)
    {
        if (texts.Count == 0)
        {
            return SorsaSearchSpace.Paper();
        }

        var space = new SorsaSearchSpace();
        OptionTable<SorsaFineTuningTrainer.Options> options = RunFile.TrainerOptions();
        foreach (string text in texts)
        {
            if (text.Split('=', 2) is not [{ Length: > 0 } name, { Length: > 0 } values])
            {
                throw new CommandException(ExitCode.Usage, $"--vary is '{text}'; it must be {Form}.");
            }

            OptionEntry entry = options.Entries.FirstOrDefault(option => OptionName.Bare(option.Name) == OptionName.Bare(name))
                ?? throw Unknown(name, options.Entries.Where(option => option.Path.Count == 1).Select(option => option.Name[2..]));
            space[entry.Key] = Option(entry, values);
        }

        return space;
    }

    private static ISearchOption Option(OptionEntry entry, string text)
    {
        bool isLog = text.EndsWith(":log", StringComparison.OrdinalIgnoreCase);
        string values = isLog ? text[..^":log".Length] : text;
        if (values.Split("..") is [var least, var most] && least.Length > 0 && most.Length > 0)
        {
            Type type = Nullable.GetUnderlyingType(entry.Property.PropertyType) ?? entry.Property.PropertyType;
            object low = Value(entry, least)!, high = Value(entry, most)!;
            return type == typeof(int)
                ? new UniformIntOption((int)low, (int)high, isLog)
                : type == typeof(double) ? new UniformDoubleOption((double)low, (double)high, isLog)
                : throw new CommandException(
                    ExitCode.Usage, $"--vary {entry.Name[2..]}: only numbers have ranges. Write the values with commas between.");
        }

        return isLog
            ? throw new CommandException(ExitCode.Usage, $"--vary {entry.Name[2..]} is '{text}'; it must be {Form}.")
            : new ChoiceOption([.. values.Split(',').Select(value => Value(entry, value))]);
    }

    private static object? Value(OptionEntry entry, string text)
    {
        try
        {
            return OptionValue.Parse(entry.Property.PropertyType, entry.IsNullable, [text.Trim()]);
        }
        catch (FormatException e)
        {
            throw new CommandException(ExitCode.Usage, $"--vary {entry.Name[2..]} {e.Message}", e);
        }
    }

    private static CommandException Unknown(string name, IEnumerable<string> names)
    {
        string? near = Spelling.Nearest(name, names);
        return new CommandException(ExitCode.Usage, string.Create(CultureInfo.InvariantCulture,
            $"--vary names '{name}', which is no option of train.{(near is null ? "" : $" Did you mean {near}?")}"));
    }
}
