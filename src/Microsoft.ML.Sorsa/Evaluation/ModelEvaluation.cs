using System.Diagnostics;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.DataViews;
using Microsoft.ML.Sorsa.Evaluation.Likelihoods;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>One evaluation over rows: how likely a model finds their responses, and whether its own answers are right.</summary>
/// <param name="channel">ML.NET's log.</param>
/// <param name="data">The rows.</param>
internal sealed class ModelEvaluation(IChannel channel, IDataView data)
{
    private const string ResponseOption = nameof(EvaluationOptions.ResponseColumnName);

    /// <param name="model">Adds its replies to the rows.</param>
    /// <param name="promptColumnName">What it reads.</param>
    /// <param name="outputColumnName">What it adds.</param>
    /// <param name="scorer">How likely it finds texts.</param>
    /// <param name="options">What is asked.</param>
    /// <param name="goldArgument">What a user calls the name of the references' column.</param>
    public SorsaEvaluation Of(
        ITransformer model, string promptColumnName, string outputColumnName, Func<TokenScorer> scorer, EvaluationOptions options,
        string goldArgument = nameof(EvaluationOptions.GoldColumnName))
    {
        options.Verify();
        if (options.Grader is not null)
        {
            // Before the model works: a reference that is not there is found at once.
            OptionRange.Fit(options.GoldColumnName != outputColumnName, goldArgument, $"'{options.GoldColumnName}'",
                "the model's replies have the same name and would hide the references", "Rename the column of the references");
            _ = TextColumns.Find(data.Schema, goldArgument, options.GoldColumnName);
        }

        EvaluatedAnswer[]? responses = options.Perplexity ? Responses(promptColumnName, scorer(), options) : null;
        if (options.Grader is not { } grader)
        {
            return Told(new SorsaEvaluation(null, responses!, null, hasPerplexity: true));
        }

        var clock = Stopwatch.StartNew();
        (string Text, string Gold)[] answers = Read(
            model.Transform(data), (nameof(outputColumnName), outputColumnName), (goldArgument, options.GoldColumnName),
            options.CancellationToken);
        TimeSpan generation = clock.Elapsed;
        IReadOnlyList<EvaluatedAnswer> judged = AnswerEvaluation.Of(grader, answers);
        return Told(new SorsaEvaluation(
            grader.Name,
            responses is null ? judged : [.. judged.Zip(responses, (answer, response) => answer with
            {
                Loss = response.Loss,
                ResponseTokens = response.ResponseTokens,
            })],
            generation, responses is not null));
    }

    /// <summary>Answers that are there already, whoever gave them.</summary>
    public SorsaEvaluation OfAnswers(IAnswerGrader grader, (string Argument, string Name) answer, (string Argument, string Name) gold) =>
        Told(new SorsaEvaluation(
            grader.Name, AnswerEvaluation.Of(grader, Read(data, answer, gold, CancellationToken.None)), generation: null));

    private EvaluatedAnswer[] Responses(string promptColumnName, TokenScorer scorer, EvaluationOptions options)
    {
        (string Prompt, string Response)[] rows = Read(
            data, ("PromptColumnName", promptColumnName), (
                options.ResponseColumnName is null ? $"{nameof(EvaluationOptions.GoldColumnName)}, or {ResponseOption}," : ResponseOption,
                options.ResponseColumnName ?? options.GoldColumnName),
            options.CancellationToken);
        (double Loss, int Tokens)?[] losses = ResponseLosses.Of(
            scorer, rows, options.MaxResponseLength, message => channel.Warning(MessageSensitivity.None, message),
            options.CancellationToken);
        return
        [
            .. rows.Zip(losses, (row, loss) => (row.Response, loss)).Select((row, index) =>
                new EvaluatedAnswer(index + 1, "", row.Response, null, null)
                {
                    Loss = row.loss?.Loss,
                    ResponseTokens = row.loss?.Tokens ?? 0,
                }),
        ];
    }

    private static (string First, string Second)[] Read(
        IDataView data, (string Argument, string Name) first, (string Argument, string Name) second, CancellationToken cancellationToken)
    {
        var rows = new List<(string First, string Second)>();
        foreach ((string, string) row in PromptResponseReader.Read(data, first, second))
        {
            cancellationToken.ThrowIfCancellationRequested();
            rows.Add(row);
        }

        return rows.Count > 0
            ? [.. rows]
            : throw new ArgumentException("The data have no rows, so that there is nothing to judge. Give at least one.", nameof(data));
    }

    private SorsaEvaluation Told(SorsaEvaluation evaluation)
    {
        channel.Info(MessageSensitivity.UserData, evaluation.ToString());
        return evaluation;
    }
}
