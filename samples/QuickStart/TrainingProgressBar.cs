using Microsoft.ML.Sorsa.Training;
using Spectre.Console;

namespace QuickStart;

/// <summary>A progress bar in a terminal, with the loss and the remaining time; nothing where the output is a file.</summary>
internal sealed class TrainingProgressBar : IProgress<SorsaTrainingProgress>
{
    private ProgressTask? _task;

    public SorsaTrainingProgress? First { get; private set; }

    public SorsaTrainingProgress? Last { get; private set; }

    public T Show<T>(Func<T> train)
    {
        if (!AnsiConsole.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
        {
            return train();
        }

        return AnsiConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(),
                new RemainingTimeColumn())
            .Start(context =>
            {
                _task = context.AddTask("decomposing the weights");
                return train();
            });
    }

    public void Report(SorsaTrainingProgress value)
    {
        First ??= value;
        Last = value;
        if (_task is not null)
        {
            _task.MaxValue = value.TotalSteps;
            _task.Value = value.Step;
            _task.Description = FormattableString.Invariant($"step {value.Step} of {value.TotalSteps}  loss {value.Loss:F4}");
        }
    }
}
