using System.Globalization;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>What a run tells ML.NET's log; of several processes the first alone.</summary>
internal sealed class TrainingLog(IChannel channel, FineTuningSettings settings)
{
    /// <summary>Below so many steps a warning says that little is learnt, and so many teach a form: docs/measurements.md.</summary>
    private const int FewSteps = 20, EnoughSteps = 100;

    /// <summary>The share of the rows from which on it is worth a warning that they were cut, or trained on and validated on.</summary>
    private const double ManyRows = 0.05;

    /// <summary>Of several processes one tells it for all.</summary>
    private readonly bool _isFirst = settings.Ranks is not { Rank: > 0 };

    /// <summary>Rows that are in tokens now.</summary>
    /// <param name="encoded">The rows.</param>
    /// <param name="argument">What errors call them.</param>
    /// <param name="maxPositions">Tokens that a text may have.</param>
    public void Rows(EncodedExamples encoded, string argument, int maxPositions)
    {
        int count = encoded.Examples.Count;
        Info($"{argument}: {count} rows; {encoded.Dropped} dropped for an empty prompt or response.");
        Info($"{argument}: {encoded.Statistics}");
        if (encoded.Statistics.SharedWithTraining is { } shared && shared >= count * ManyRows)
        {
            Warn(string.Create(CultureInfo.InvariantCulture,
                $"{argument}: {shared} of {count} rows are trained on, too, so that the validation loss says little of other rows. Split ")
                + "the data with TrainTestSplit, after rows that are there twice are taken out.");
        }

        Cut(
            encoded.Prompts, count, $"{argument}: {encoded.Prompts.Count} of {count} prompts were cut, at the end of their own text",
            nameof(settings.MaxPromptLength), settings.MaxPromptLength, maxPositions);
        Cut(
            encoded.Responses, count, $"{argument}: {encoded.Responses.Count} of {count} responses were cut, the end token first",
            nameof(settings.MaxResponseLength), settings.MaxResponseLength, maxPositions);
        Cut(
            encoded.Texts, count, $"{argument}: {encoded.Texts.Count} of {count} texts were cut, the end token first",
            $"{nameof(settings.MaxPromptLength)} + {nameof(settings.MaxResponseLength)}",
            (long)settings.MaxPromptLength + settings.MaxResponseLength, maxPositions);
    }

    /// <summary>What is about to be trained, and what is likely a mistake in it.</summary>
    public void Begin(long parameters, int projections, int rows, int stepsPerEpoch, int totalSteps)
    {
        Announce(parameters, projections, totalSteps);
        WarnOfFewSteps(rows, stepsPerEpoch, totalSteps);
    }

    /// <summary>What is computed in, where there is something to say about it.</summary>
    public void Types(ComputeTypeChoice? choice, torch.Device device)
    {
        if (_isFirst)
        {
            choice?.Tell(channel);
        }

        if (settings.Training.AllowTf32 && device.type != DeviceType.CUDA)
        {
            Warn($"{nameof(settings.Training.AllowTf32)} has no effect on {device}: TF32 is a GPU's. Training goes on without it.");
        }
    }

    /// <summary>Ten of all steps, and every evaluation.</summary>
    public void Step(SorsaTrainingProgress progress)
    {
        if (progress.Step % Math.Max(1, progress.TotalSteps / 10) == 0
            || progress.Step == progress.TotalSteps
            || progress.ValidationLoss is not null)
        {
            string validation = progress.ValidationLoss is { } loss
                ? string.Create(CultureInfo.InvariantCulture, $", validation loss {loss:F4}")
                : "";
            Info(
                $"Step {progress.Step} of {progress.TotalSteps}: loss {progress.Loss:F4}{validation}, learning rate ",
                $"{progress.LearningRate:G3}, gradient norm {progress.GradientNorm:G3}.");
        }
    }

    public void Warn(string message)
    {
        if (_isFirst)
        {
            channel.Warning(MessageSensitivity.None, message);
        }
    }

    public void Info(params FormattableString[] pieces)
    {
        if (_isFirst)
        {
            channel.Info(MessageSensitivity.None, string.Concat(pieces.Select(FormattableString.Invariant)));
        }
    }

    /// <summary>Nothing, a word or a warning: by how many rows are concerned.</summary>
    private void Cut(CutTexts cut, int rows, FormattableString what, string option, long limit, int maxPositions)
    {
        if (cut.Count == 0)
        {
            return;
        }

        string remedy = cut.Longest < maxPositions
            ? string.Create(CultureInfo.InvariantCulture, $"Set {option} to {cut.Longest}")
            : string.Create(CultureInfo.InvariantCulture, $"The model has {maxPositions} positions: shorten such texts");
        string message = FormattableString.Invariant(what) + string.Create(CultureInfo.InvariantCulture,
            $": {option} is {limit}, and the longest has {cut.Longest} tokens (template and special tokens included). {remedy} to keep "
            + $"them whole.");
        if (cut.Count >= rows * ManyRows)
        {
            Warn(message);
        }
        else
        {
            Info($"{message}");
        }
    }

    private void Announce(long parameters, int projections, int totalSteps)
    {
        Info(
            $"{settings.Method.Method}: training {parameters:N0} parameters, in {projections} projections, ",
            $"for {totalSteps} steps, with a learning rate of {settings.Training.LearningRate:G3} at its peak.");
        if (totalSteps > 1 && Math.Ceiling(totalSteps * settings.Training.WarmupRatio) >= totalSteps)
        {
            Warn(string.Create(CultureInfo.InvariantCulture,
                $"The warm-up takes all {totalSteps} steps, so that the learning rate never reaches its peak. Lower WarmupRatio (now "
                + $"{settings.Training.WarmupRatio}) or BatchSize (now {settings.Training.BatchSize}), or raise NumberOfEpochs (now "
                + $"{settings.Training.NumberOfEpochs})."));
        }
    }

    private void WarnOfFewSteps(int rows, int stepsPerEpoch, int totalSteps)
    {
        if (totalSteps >= FewSteps)
        {
            return;
        }

        TrainingSettings training = settings.Training;
        bool areLimited = totalSteps == training.MaxSteps && totalSteps < (long)stepsPerEpoch * training.NumberOfEpochs;
        string more = (long)stepsPerEpoch * training.NumberOfEpochs >= FewSteps
            ? "" : string.Create(CultureInfo.InvariantCulture, $" and NumberOfEpochs (now {training.NumberOfEpochs})");
        string remedy = areLimited
            ? string.Create(CultureInfo.InvariantCulture, $"Raise MaxSteps (now {training.MaxSteps}){more}.")
            : string.Create(CultureInfo.InvariantCulture,
                $"Raise NumberOfEpochs (now {training.NumberOfEpochs}; {1 + ((EnoughSteps - 1) / stepsPerEpoch)} make some {EnoughSteps} "
                + $"steps), lower BatchSize (now {training.BatchSize}) or GradientAccumulationSteps (now "
                + $"{training.GradientAccumulationSteps}), or bring more rows.");
        Warn(string.Create(CultureInfo.InvariantCulture,
            $"Training has only {totalSteps} step{(totalSteps == 1 ? "" : "s")} ({rows} rows, "
            + $"{(long)training.BatchSize * training.GradientAccumulationSteps} a step): with fewer than {FewSteps} a model "
            + $"hardly learns anything; some {EnoughSteps} teach it a form of answer. {remedy}"));
    }
}
