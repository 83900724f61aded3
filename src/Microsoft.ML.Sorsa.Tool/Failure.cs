using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Tool.Options;

namespace Microsoft.ML.Sorsa.Tool;

/// <summary>What went wrong, as the command line says it: one line and an exit code.</summary>
internal sealed partial record Failure(int ExitCode, string Message)
{
    /// <summary>Options that name where the trainer writes.</summary>
    private static readonly string[] s_folders =
        [nameof(SorsaFineTuningTrainer.Options.CheckpointFolder), nameof(SorsaFineTuningTrainer.Options.TensorBoardFolder)];

    /// <param name="thrown">What was thrown.</param>
    /// <param name="wording">What the verb calls options.</param>
    public static Failure Of(Exception thrown, Wording wording)
    {
        // ML.NET wraps what a model's loader throws, and reflection what a setter does.
        Exception e = thrown;
        while (e is not CommandException && e.InnerException is { } inner && (e is TargetInvocationException || IsOfMLNet(e)))
        {
            e = inner;
        }

        int exitCode = e switch
        {
            CommandException known => known.ExitCode,
            // What a verb writes, it calls its output itself; the trainer writes into these.
            IOException when s_folders.Any(name => e.Message.StartsWith($"{name} '", StringComparison.Ordinal)) =>
                Tool.ExitCode.Output,
            ArgumentException or FormatException => Tool.ExitCode.Usage,
            InsufficientMemoryException or OutOfMemoryException => Tool.ExitCode.Memory,
            IOException or UnauthorizedAccessException or InvalidDataException or NotSupportedException or InvalidOperationException =>
                Tool.ExitCode.Input,
            ArithmeticException => Tool.ExitCode.Diverged,
            OperationCanceledException => Tool.ExitCode.Interrupted,
            _ => Tool.ExitCode.Failure,
        };
        string message = e is CommandException ? e.Message
            : exitCode == Tool.ExitCode.Failure ? $"{e.GetType().Name}: {e.Message}" : Text(e, wording);
        return new Failure(exitCode, LineBreak.Replace(message.Trim(), " "));
    }

    private static string Text(Exception e, Wording wording)
    {
        string text = e.Message;
        string? parameter = (e as ArgumentException)?.ParamName;
        int end = parameter is null ? -1 : text.IndexOf($" (Parameter '{parameter}')", StringComparison.Ordinal);
        return wording.In(end < 0 ? text : text[..end], parameter);
    }

    private static bool IsOfMLNet(Exception e) =>
        e.TargetSite?.DeclaringType?.Assembly.GetName().Name is "Microsoft.ML.Core" or "Microsoft.ML.Data";

    [GeneratedRegex(@"\s*[\r\n]+\s*")]
    private static partial Regex LineBreak { get; }
}
