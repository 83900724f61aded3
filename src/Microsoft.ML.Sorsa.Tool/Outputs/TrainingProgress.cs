using Microsoft.ML.Sorsa.Training;
using Spectre.Console;

namespace Microsoft.ML.Sorsa.Tool.Outputs;

/// <summary>Shows a training beside the result: a bar in a terminal, otherwise a line for every tenth and every validation.</summary>
internal sealed class TrainingProgress(Session session) : IProgress<SorsaTrainingProgress>
{
    private const int Parts = 10;

    private ProgressTask? _bar;
    private int _part;

    public SorsaTrainingProgress? Last { get; private set; }

    public double? LowestValidationLoss { get; private set; }

    /// <summary>Trains under a bar, where there is a terminal.</summary>
    public SorsaTransformer Show(Func<SorsaTransformer> train)
    {
        IAnsiConsole console = Session.Console(session.Error);
        if (!console.Profile.Out.IsTerminal)
        {
            return train();
        }

        SorsaTransformer? model = null;
        console.Progress()
            .Columns(
                new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(),
                new RemainingTimeColumn())
            .Start(context =>
            {
                _bar = context.AddTask("reading the rows, preparing the weights");
                session.Live = console;
                try
                {
                    model = train();
                }
                finally
                {
                    session.Live = null;
                }
            });
        return model!;
    }

    public void Report(SorsaTrainingProgress value)
    {
        Last = value;
        LowestValidationLoss = value.ValidationLoss is { } loss ? Math.Min(loss, LowestValidationLoss ?? loss) : LowestValidationLoss;
        if (_bar is not null)
        {
            (_bar.MaxValue, _bar.Value) = (value.TotalSteps, value.Step);
            _bar.Description = FormattableString.Invariant($"step {value.Step} of {value.TotalSteps}  loss {value.Loss:F4}");
            return;
        }

        int part = Parts * value.Step / value.TotalSteps;
        if (part > _part || value.Step == 1 || value.ValidationLoss is not null)
        {
            _part = part;
            string line = FormattableString.Invariant($"step {value.Step} of {value.TotalSteps}  loss {value.Loss:F4}");
            line += value.ValidationLoss is { } validation ? FormattableString.Invariant($"  validation {validation:F4}") : "";
            session.Note($"{line}  {value.TokensPerSecond:F0} tokens/s");
        }
    }
}
