using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Sweeps.Report;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>A training as a page: curves, data, what was cut, what the merge cost, answers before and after, options.</summary>
public static class TrainingReport
{
    /// <summary>
    /// Writes the page: one HTML file, no script, nothing fetched, for phones and for the dark, too. The file is there when it is whole. It
    /// shows the prompts and answers that it is given; of the data it has numbers alone.
    /// </summary>
    /// <param name="model">What Fit gave.</param>
    /// <param name="path">The file, in a folder that is there; it replaces a file of that name.</param>
    /// <param name="answers">From <see cref="CompareAnswers"/>, or one's own; null: none.</param>
    /// <param name="title">The page's heading; null: the method and the base.</param>
    /// <exception cref="InvalidOperationException">The model was loaded, and not trained here.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public static void SaveReport(
        this SorsaTransformer model, string path, IReadOnlyList<AnswerComparison>? answers = null, string? title = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        if (model.Training is not { } training)
        {
            throw new InvalidOperationException(
                "The model was loaded, and a report is about a training, which files do not hold. Write it in the program that trains, "
                + "with the transformer that Fit gave.");
        }

        title ??= $"{training.Method} on {training.BaseModel ?? "a model object"}";
        NewFile.Write(path, stream => TrainingPage.Write(training, model.MergeReport, answers ?? [], title, stream));
    }

    /// <summary>Asks the base and the fine-tuned model the same.</summary>
    /// <param name="catalog">From <c>mlContext.Sorsa()</c>.</param>
    /// <param name="model">What Fit gave, or another model with the same template.</param>
    /// <param name="options">Those of its training: the base's folder, the template, how to generate. Both models are in memory.</param>
    /// <param name="prompts">A few; each is answered twice.</param>
    /// <exception cref="ArgumentException">A prompt leaves no room in the model's positions.</exception>
    /// <exception cref="IOException">The base's folder or one of its files is not there.</exception>
    public static IReadOnlyList<AnswerComparison> CompareAnswers(
        this SorsaCatalog catalog, SorsaTransformer model, SorsaFineTuningTrainer.Options options, IReadOnlyList<string> prompts)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(prompts);
        using SorsaTransformer untrained = catalog.LoadModel(options);
        return [.. prompts.Select(prompt => new AnswerComparison(prompt, untrained.Generate(prompt), model.Generate(prompt)))];
    }
}
