using Microsoft.ML.Sorsa.Training;
using Spectre.Console;

namespace QuickStart;

/// <summary>A progress bar in a terminal, with the remaining time; nothing where the output is a file.</summary>
internal sealed class ProgressBar
{
    private ProgressTask? _task;

    private ProgressBar()
    {
    }

    private static bool IsShown => AnsiConsole.Profile.Capabilities.Interactive && !Console.IsOutputRedirected;

    /// <summary>Does the work under a bar, which the work moves.</summary>
    /// <param name="description">What stands beside the bar until it moves.</param>
    /// <param name="work">Told the bar.</param>
    public static T Show<T>(string description, Func<ProgressBar, T> work)
    {
        var bar = new ProgressBar();
        if (!IsShown)
        {
            return work(bar);
        }

        return AnsiConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(),
                new RemainingTimeColumn())
            .Start(context =>
            {
                bar._task = context.AddTask(description);
                return work(bar);
            });
    }

    /// <summary>A line above the bar, where one is shown.</summary>
    public static void WriteLine(string text)
    {
        if (IsShown)
        {
            AnsiConsole.WriteLine(text);
        }
        else
        {
            Console.WriteLine(text);
        }
    }

    public void Move(int done, int all, FormattableString description)
    {
        if (_task is not null)
        {
            _task.MaxValue = all;
            _task.Value = done;
            _task.Description = FormattableString.Invariant(description);
        }
    }
}

/// <summary>Moves the bar of a training that is under way, and remembers its first and its last step.</summary>
internal sealed class TrainingProgress : IProgress<SorsaTrainingProgress>
{
    public ProgressBar? Bar { get; set; }

    public SorsaTrainingProgress? First { get; private set; }

    public SorsaTrainingProgress? Last { get; private set; }

    public void Report(SorsaTrainingProgress value)
    {
        First ??= value;
        Last = value;
        Bar?.Move(value.Step, value.TotalSteps, $"step {value.Step} of {value.TotalSteps}  loss {value.Loss:F4}");
    }
}
