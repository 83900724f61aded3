using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Evaluation;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>What an experiment optimises: the lowest or the highest of a number that a trained model gets on the validation rows.</summary>
public sealed class SweepMetric
{
    private readonly Func<SorsaTransformer, IDataView, SorsaFineTuningTrainer.Options, double>? _measure;

    private SweepMetric(string name, bool isMaximized, Func<SorsaTransformer, IDataView, SorsaFineTuningTrainer.Options, double>? measure)
    {
        Name = name;
        IsMaximized = isMaximized;
        _measure = measure;
    }

    /// <summary>
    /// The lowest mean cross-entropy of the validation rows during training, in nats per response token: that of the weights that are kept.
    /// The default; lower is better.
    /// </summary>
    public static SweepMetric ValidationLoss { get; } = new("validation loss", isMaximized: false, null);

    /// <summary>
    /// The share of validation rows of which the model's answer is the response, white space around either aside. Higher is better; from 0
    /// to 1.
    /// </summary>
    public static SweepMetric ExactMatch { get; } = new(
        "exact match", isMaximized: true, (model, validation, options) => Share(model, validation, options,
            (answer, response) => answer.AsSpan().Trim().SequenceEqual(response.AsSpan().Trim())));

    /// <summary>The share of validation rows that a grader calls right. Higher is better; from 0 to 1.</summary>
    /// <param name="grader">
    /// Judges one answer against the row's response; <see cref="AnswerGraders"/> has the ready ones. What it throws, for a response that it
    /// cannot read too, fails the trial.
    /// </param>
    public static SweepMetric Accuracy(IAnswerGrader grader)
    {
        ArgumentNullException.ThrowIfNull(grader);
        return new SweepMetric(
            grader.Name, isMaximized: true, (model, validation, options) => Share(model, validation, options,
                (answer, response) => grader.Grade(answer, response).Correct));
    }

    /// <summary>How tables and the study name it.</summary>
    public string Name { get; }

    /// <summary>A higher value is better.</summary>
    public bool IsMaximized { get; }

    /// <summary>Whether a worker in another process knows it too.</summary>
    internal bool IsBuiltIn => ReferenceEquals(this, ValidationLoss) || ReferenceEquals(this, ExactMatch);

    /// <summary>A metric of one's own.</summary>
    /// <param name="name">How tables and the study name it; another function, another name.</param>
    /// <param name="measure">
    /// From the trained model and the validation rows to a finite number. Called once per trial, several trials at a time where the
    /// experiment runs several. Whatever it throws fails the trial, and the experiment goes on.
    /// </param>
    /// <param name="isMaximized">A higher value is better.</param>
    public static SweepMetric Of(string name, Func<SorsaTransformer, IDataView, double> measure, bool isMaximized = false)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(measure);
        return new SweepMetric(name, isMaximized, (model, data, _) => measure(model, data));
    }

    /// <summary>The built-in metric of a name.</summary>
    /// <exception cref="InvalidDataException">There is none.</exception>
    internal static SweepMetric Named(string name) =>
        new[] { ValidationLoss, ExactMatch }.FirstOrDefault(metric => metric.Name == name)
        ?? throw new InvalidDataException($"The study's metric is '{name}', and workers know '{ValidationLoss.Name}' and "
            + $"'{ExactMatch.Name}' alone. The study's definition was changed, or a newer version of the library made it.");

    internal double Measure(
        SorsaTransformer model, IDataView validation, IReadOnlyList<CurvePoint> curve, SorsaFineTuningTrainer.Options options) =>
        _measure is null ? curve.Min(point => point.Loss) : _measure(model, validation, options);

    /// <exception cref="ArithmeticException">The number is not finite.</exception>
    internal void RequireFinite(double value)
    {
        if (!double.IsFinite(value))
        {
            throw new ArithmeticException(string.Create(CultureInfo.InvariantCulture,
                $"The metric '{Name}' is {value}; it must be a finite number. "
                + $"Give a value for every model, the worst possible one included."));
        }
    }

    private static double Share(
        SorsaTransformer model, IDataView validation, SorsaFineTuningTrainer.Options options, Func<string, string, bool> isRight)
    {
        string[] responses = [.. validation.GetColumn<string>(options.ResponseColumnName)];
        string[] answers = [.. model.Transform(validation).GetColumn<string>(options.OutputColumnName)];
        return answers.Zip(responses, isRight).Count(right => right) / (double)responses.Length;
    }
}
