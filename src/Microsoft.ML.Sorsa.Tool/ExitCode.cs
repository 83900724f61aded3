namespace Microsoft.ML.Sorsa.Tool;

/// <summary>What the process ends with; docs/command-line.md has the table.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>Something that should not happen.</summary>
    public const int Failure = 1;

    /// <summary>
    /// The command line: an unknown option, a value outside its range, options that do not fit together, the model or the data.
    /// </summary>
    public const int Usage = 2;

    /// <summary>What was named is not there, is damaged, is something else, or does not fit.</summary>
    public const int Input = 3;

    /// <summary>What was to be written cannot be.</summary>
    public const int Output = 4;

    public const int Memory = 5;

    /// <summary>A loss or a gradient that is not finite.</summary>
    public const int Diverged = 6;

    /// <summary>Ended by a signal: as shells count, 128 and the signal's number.</summary>
    public const int Interrupted = 130, Terminated = 143;
}

/// <summary>An error that is told in one line, with the exit code that it ends the process with.</summary>
internal sealed class CommandException(int exitCode, string message, Exception? inner = null) : Exception(message, inner)
{
    public int ExitCode => exitCode;
}
