using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Training;
using static Microsoft.ML.Sorsa.Reports.Markdown;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Reports;

/// <summary>
/// README.md beside a saved model or adapter: what was trained on what, with which numbers, and under which license the base stands. It has
/// no row of the data in it, no path and no clock: the same training gives the same card.
/// </summary>
/// <param name="Origin">The base; null: not known.</param>
/// <param name="Training">Null: not trained by whoever saves it.</param>
/// <param name="Merge">What the merge cost; null as well.</param>
/// <param name="Adapter">The adapter that is merged into the base; null: none.</param>
/// <param name="Template">What stands around a prompt; null: nobody chose it.</param>
/// <param name="StoredType">What the weights are stored in.</param>
internal sealed record ModelCard(
    ModelOrigin? Origin, SorsaTrainingRecord? Training, MergeReport? Merge, string? Adapter, PromptTemplate? Template,
    ScalarType StoredType)
{
    private const string Library = "Microsoft.ML.Sorsa";

    /// <summary>The options that a reader looks for, changed or not.</summary>
    private static readonly string[] s_options =
    [
        nameof(MethodSettings.Rank), nameof(MethodSettings.Alpha), nameof(TrainingSettings.LearningRate),
        nameof(TrainingSettings.BatchSize), nameof(TrainingSettings.NumberOfEpochs), nameof(TrainingSettings.Seed),
    ];

    /// <summary>The file.</summary>
    /// <param name="format">Of the adapter that lies in the folder; null: the whole model does.</param>
    public byte[] ToUtf8(AdapterFormat? format) => Encoding.UTF8.GetBytes(FrontMatter(format) + "\n" + Body(format));

    private string FrontMatter(AdapterFormat? format) => CardFrontMatter.Of(
        Origin,
        format is null ? "finetune" : "adapter",
        format switch { null => "transformers", AdapterFormat.Sorsa => Library, _ => "peft" },
        [
            .. Training is { } training ? [training.Method.ToString().ToLowerInvariant(), "fine-tuned"] : Array.Empty<string>(),
            .. format is null ? Array.Empty<string>() : ["adapter"],
            "ml.net", "torchsharp", "microsoft-ml-sorsa",
        ]);

    private string Body(AdapterFormat? format)
    {
        var card = new Markdown();
        card.Block($"# {Title(format)}");
        card.Block(About(format));
        card.Heading("License").Block(License());
        if (Training is { } training)
        {
            card.Heading("Training data");
            Data(card, training);
            card.Heading("Training");
            Numbers(card, training);
        }

        if (Merge is { Matrices.Count: > 0 } merge && format is null)
        {
            card.Heading("Merge");
            Errors(card, merge);
        }

        card.Heading("Use");
        Around(card);
        card.Block($"In .NET, with the package {Library} and one of libtorch's:").Literal(Code(format));
        return card.ToString();
    }

    private string Base => Origin is { } origin ? Plain(origin.Name) : "a model whose name is not known here";

    private string Title(AdapterFormat? format) => (Training, format) switch
    {
        ({ } training, null) => $"{Base}, fine-tuned with {Plain($"{training.Method}")}",
        ({ } training, _) => $"{Plain($"{training.Method}")} adapter for {Base}",
        (null, null) when Adapter is { } adapter => $"{Base} with the adapter {Plain(adapter)}",
        _ => $"A copy of {Base}",
    };

    private string About(AdapterFormat? format)
    {
        string what = format switch
        {
            null => $"This folder holds the whole model, in {StoredType}.",
            AdapterFormat.Sorsa => $"This folder holds the adapter alone, in the format of {Library}; it belongs onto its base.",
            AdapterFormat.LoraDifference =>
                "This folder holds the adapter alone, as a LoRA in PEFT's format over the untouched base; it belongs onto its base.",
            _ => "This folder holds the adapter alone, in PEFT's format; it belongs onto its base.",
        };
        string how = Training is not null
            ? $"{Base} was fine-tuned with {Library} {SorsaTrainingRecord.LibraryVersion}, for ML.NET."
            : $"Written by {Library} {SorsaTrainingRecord.LibraryVersion}, for ML.NET. What was trained is not known here: the model was "
                + "loaded, and files do not say it.";
        return $"{how} {what}";
    }

    private string License() => Origin switch
    {
        { License: { IsKnown: true } license } =>
            $"That of the base: {Plain(license.ToString())}, as {Plain(license.Source!)} in its folder says"
            + (license.Link is { } link ? $" (its text: {Plain(link)})." : "."),
        { } => "unknown: no file in the base's folder says under which license it stands. Find out before you pass this on.",
        _ => "unknown: the base is not known here. Find out before you pass this on.",
    };

    private static void Data(Markdown card, SorsaTrainingRecord training)
    {
        DataStatistics train = training.TrainData;
        DataStatistics? validation = training.ValidationData;
        card.Block("Numbers alone: nothing of the data itself stands in this card.");
        string[] headings = validation is null ? ["", "trained on"] : ["", "trained on", "validated on"];
        card.Table(headings, Rows());

        IEnumerable<string[]> Rows()
        {
            yield return Row("rows", data => Number(data.Rows));
            yield return Row("rows left out for an empty prompt or response", data => Number(data.RowsGiven - data.Rows));
            yield return Row("rows that an earlier one equals", data => Number(data.Duplicates));
            yield return Row("tokens in one pass", data => Number(data.Tokens));
            yield return Row("of them learnt", data => Number(data.LearntTokens));
            yield return Row("tokens of a prompt, template included", data => data.Prompts?.ToString() ?? "–");
            yield return Row("tokens of a response", data => data.Responses?.ToString() ?? "–");
            yield return Row("tokens of a row", data => data.Texts.ToString());
            yield return Row("rows that were cut", data => Number(data.Texts.CutTexts));
            yield return Row("tokens that they lost", data => Number(data.Texts.CutTokens));
        }

        string[] Row(string name, Func<DataStatistics, string> value) =>
            validation is null ? [name, value(train)] : [name, value(train), value(validation)];
    }

    private static void Numbers(Markdown card, SorsaTrainingRecord training)
    {
        var rows = new List<string[]>
        {
            new[] { "method", Plain($"{training.Method}") },
            new[] { "values that train", Number(training.TrainableParameters) },
            new[] { "steps", training.Losses.Count == training.TotalSteps
                ? Number(training.TotalSteps) : $"{Number(training.Losses.Count)} of {Number(training.TotalSteps)}" },
        };
        if (training.Losses.Count > 0)
        {
            rows.Add(["loss of the first and the last step", $"{Number(training.Losses[0])}, {Number(training.Losses[^1])}"]);
        }

        if (training.ValidationLosses.Count > 0)
        {
            (int step, double loss) = training.ValidationLosses.MinBy(at => at.Loss);
            rows.Add(["lowest validation loss, whose weights these are", $"{Number(loss)}, after step {Number(step)}"]);
        }

        if (training.Orthonormality is { } orthonormality)
        {
            rows.Add(["deviation of the singular vectors from orthonormal (Eq. 9) at the end", Number(orthonormality)]);
        }

        rows.AddRange(training.Options
            .Where(option => (!option.IsDefault || s_options.Contains(option.Name, StringComparer.Ordinal))
                && option.Name is not (nameof(FineTuningMethod) or "Method" or nameof(PromptTemplate)))
            .Select(option => new[] { $"option {Plain(option.Name)}", Plain(option.Value) }));
        card.Table(["", ""], rows);
        card.Block("Losses are means in nats for each token that is learnt. All other options have their defaults.");
    }

    private void Errors(Markdown card, MergeReport merge)
    {
        card.Block($"What was trained is merged into the weights, which are rounded to {StoredType}: what that costs, and how far "
            + "training moved them.");
        card.Table(
            ["matrices", "number", "largest rounding error", "relative rounding error", "norm of the update", "its effective rank"],
            merge.Matrices.GroupBy(matrix => Kind(matrix.Name), StringComparer.Ordinal).Select(kind => new[]
            {
                Plain(kind.Key),
                Number(kind.LongCount()),
                Number(kind.Max(matrix => matrix.LargestRoundingError)),
                Number(kind.Max(matrix => matrix.RelativeRoundingError)),
                Range(kind, matrix => matrix.UpdateNorm),
                Range(kind, matrix => matrix.EffectiveRank),
            }));

        static string Range(IEnumerable<MatrixMerge> kind, Func<MatrixMerge, double> value) =>
            $"{Number(kind.Min(value))} to {Number(kind.Max(value))}";

        // model.layers.0.self_attn.q_proj.weight
        static string Kind(string name) => name.Split('.') is [.., var kind, _] ? kind : name;
    }

    /// <summary>What stands around a prompt: of what was only loaded, no file says what did in training.</summary>
    private void Around(Markdown card)
    {
        if (Template is not { } template)
        {
            card.Block("The template around a prompt is not known here: the model was loaded without one, and files do not say it. Take "
                + "that of its training; without one, LoadModel takes PromptTemplate.Alpaca.");
            return;
        }

        card.Block(Training is not null
            ? "A prompt stands in this template, in training and in use:"
            : "A prompt stands in this template in use; whether it did in training is not known here:").Literal(template.ToString());
    }

    private static string Code(AdapterFormat? format) => format is null
        ? """
          using var model = new MLContext().Sorsa().LoadModel("this folder", promptTemplate: template);
          string answer = model.Generate("...");
          """
        : """
          using var model = new MLContext().Sorsa().LoadModel("the base's folder", promptTemplate: template);
          model.LoadAdapter("name", "this folder");
          model.UseAdapter("name");
          string answer = model.Generate("...");
          """;
}
