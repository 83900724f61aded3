using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Evaluation.Likelihoods;
using Microsoft.ML.Sorsa.FineTuning;

namespace Microsoft.ML.Sorsa;

/// <summary>How good a model is: what <c>mlContext.Sorsa()</c> offers to measure it.</summary>
public static class SorsaEvaluationExtensions
{
    private const string Evaluation = "Evaluation";

    /// <summary>
    /// Lets a model answer the prompt of every row and judges the answers, measures the perplexity of the responses, or both.
    /// </summary>
    /// <param name="catalog">From <c>mlContext.Sorsa()</c>.</param>
    /// <param name="model">Answers as in <c>Transform</c>: with its own generation options, and the adapter that is in use.</param>
    /// <param name="data">Has the model's prompt column, the references and the responses, which may be one column.</param>
    /// <param name="options">What is asked.</param>
    /// <exception cref="ArgumentException">
    /// An option is outside its range; a column is not there or is not text; the replies would hide the references; there are no rows; a
    /// prompt and its response have more tokens than the model has positions.
    /// </exception>
    /// <exception cref="OperationCanceledException">The options' token ended it.</exception>
    public static SorsaEvaluation Evaluate(
        this SorsaCatalog catalog, SorsaTransformer model, IDataView data, EvaluationOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return Run(catalog, data, evaluation => Evaluate(evaluation, model, options, nameof(EvaluationOptions.GoldColumnName)));
    }

    /// <summary>Lets a model answer the prompt of every row, and judges the answers; nothing else.</summary>
    /// <param name="catalog">From <c>mlContext.Sorsa()</c>.</param>
    /// <param name="model">Answers as in <c>Transform</c>: with its own generation options, and the adapter that is in use.</param>
    /// <param name="data">Has the model's prompt column, and the references.</param>
    /// <param name="grader">Judges one answer; <see cref="AnswerGraders"/> has the ready ones.</param>
    /// <param name="goldColumnName">The column of text that holds the references; what they must hold, the grader says.</param>
    /// <exception cref="ArgumentException">
    /// A column is not there or is not text; the replies would hide the references; there are no rows.
    /// </exception>
    public static SorsaEvaluation Evaluate(
        this SorsaCatalog catalog, SorsaTransformer model, IDataView data, IAnswerGrader grader,
        string goldColumnName = FineTuningSettings.DefaultResponseColumnName)
    {
        ArgumentNullException.ThrowIfNull(grader);
        var options = new EvaluationOptions { Grader = grader, GoldColumnName = goldColumnName, Perplexity = false };
        return Run(catalog, data, evaluation => Evaluate(evaluation, model, options, nameof(goldColumnName)));
    }

    /// <summary>Judges answers that are there already, whoever gave them.</summary>
    /// <param name="catalog">From <c>mlContext.Sorsa()</c>.</param>
    /// <param name="data">Has the answers and the references.</param>
    /// <param name="grader">Judges one answer; <see cref="AnswerGraders"/> has the ready ones.</param>
    /// <param name="answerColumnName">The column of text that holds the answers.</param>
    /// <param name="goldColumnName">The column of text that holds the references; what they must hold, the grader says.</param>
    /// <exception cref="ArgumentException">A column is not there or is not text; no rows.</exception>
    public static SorsaEvaluation Evaluate(
        this SorsaCatalog catalog, IDataView data, IAnswerGrader grader,
        string answerColumnName = FineTuningSettings.DefaultOutputColumnName,
        string goldColumnName = FineTuningSettings.DefaultResponseColumnName)
    {
        ArgumentNullException.ThrowIfNull(grader);
        return Run(catalog, data, evaluation =>
            evaluation.OfAnswers(grader, (nameof(answerColumnName), answerColumnName), (nameof(goldColumnName), goldColumnName)));
    }

    /// <summary>
    /// How well a model predicts a text, by windows that slide over its tokens: of a window only what the one before did not reach counts,
    /// so that each token but the first is predicted once, from windowLength − stride tokens at least. The model's prompt template plays
    /// no part.
    /// </summary>
    /// <param name="catalog">From <c>mlContext.Sorsa()</c>.</param>
    /// <param name="model">With the adapter that is in use.</param>
    /// <param name="path">The text, UTF-8, up to 128 MB; at least two tokens.</param>
    /// <param name="windowLength">
    /// Tokens of a window; null: 1024, or the model's positions where it has fewer. From 2 to the model's positions.
    /// </param>
    /// <param name="stride">
    /// Tokens that a window begins behind the one before; null: half a window. From 1 to windowLength, where each window begins anew: then
    /// its first token has nothing to be predicted from, and is not counted. A small one predicts from more and takes longer:
    /// windowLength / stride times one pass over the text.
    /// </param>
    /// <param name="cancellationToken">Ends it between two windows.</param>
    /// <exception cref="ArgumentOutOfRangeException">A window does not fit the model, or a stride the window.</exception>
    /// <exception cref="IOException">The file is not there, or cannot be read.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is empty, too long, in another encoding than UTF-8, or has fewer than two tokens.
    /// </exception>
    public static TextPerplexity EvaluateText(
        this SorsaCatalog catalog, SorsaTransformer model, string path, int? windowLength = null, int? stride = null,
        CancellationToken cancellationToken = default) =>
        PrepareText(catalog, model, path, windowLength, stride).Run(cancellationToken);

    /// <summary>
    /// <see cref="EvaluateText"/> up to where the model works: the text is read, tokenized, and refused where it cannot be evaluated.
    /// </summary>
    /// <param name="catalog">From <c>mlContext.Sorsa()</c>.</param>
    /// <param name="model">With the adapter that is in use.</param>
    /// <param name="path">The text, UTF-8, up to 128 MB; at least two tokens.</param>
    /// <param name="windowLength">As in <see cref="EvaluateText"/>.</param>
    /// <param name="stride">As in <see cref="EvaluateText"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A window does not fit the model, or a stride the window.</exception>
    /// <exception cref="IOException">The file is not there, or cannot be read.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is empty, too long, in another encoding than UTF-8, or has fewer than two tokens.
    /// </exception>
    public static PreparedEvaluation<TextPerplexity> PrepareText(
        this SorsaCatalog catalog, SorsaTransformer model, string path, int? windowLength = null, int? stride = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        TextWindows windows = TextWindows.Read(model.CreateScorer(), path, windowLength, stride);
        return Prepared(catalog, nameof(EvaluateText), windows.Perplexity, text => $"'{path}': {text}");
    }

    /// <summary>
    /// How often a model finds the right choice of a question likeliest: log-likelihoods of the choices behind the question, as
    /// lm-evaluation-harness has them. Nothing is generated.
    /// </summary>
    /// <param name="catalog">From <c>mlContext.Sorsa()</c>.</param>
    /// <param name="model">With the adapter that is in use.</param>
    /// <param name="questions">At least one: <see cref="MultipleChoiceQuestion.Read"/> takes them from a file.</param>
    /// <param name="template">
    /// What stands around a question; null: <c>Question: {prompt}\nAnswer:</c>, whatever the model's own is. A choice follows after a
    /// blank, or without one where the template ends with white space.
    /// </param>
    /// <param name="cancellationToken">Ends it between two batches.</param>
    /// <exception cref="ArgumentException">
    /// There are no questions; one has, with a choice, more tokens than the model has positions; a choice has no tokens.
    /// </exception>
    /// <exception cref="NotSupportedException">The template is the tokenizer's chat template, and that is not a known one.</exception>
    public static MultipleChoiceEvaluation EvaluateChoices(
        this SorsaCatalog catalog, SorsaTransformer model, IEnumerable<MultipleChoiceQuestion> questions, PromptTemplate? template = null,
        CancellationToken cancellationToken = default) =>
        PrepareChoices(catalog, model, questions, template).Run(cancellationToken);

    /// <summary>
    /// <see cref="EvaluateChoices"/> up to where the model works: the questions are tokenized, and refused where one does not fit.
    /// </summary>
    /// <param name="catalog">From <c>mlContext.Sorsa()</c>.</param>
    /// <param name="model">With the adapter that is in use.</param>
    /// <param name="questions">At least one: <see cref="MultipleChoiceQuestion.Read"/> takes them from a file.</param>
    /// <param name="template">As in <see cref="EvaluateChoices"/>.</param>
    /// <exception cref="ArgumentException">
    /// There are no questions; one has, with a choice, more tokens than the model has positions; a choice has no tokens.
    /// </exception>
    /// <exception cref="NotSupportedException">The template is the tokenizer's chat template, and that is not a known one.</exception>
    public static PreparedEvaluation<MultipleChoiceEvaluation> PrepareChoices(
        this SorsaCatalog catalog, SorsaTransformer model, IEnumerable<MultipleChoiceQuestion> questions, PromptTemplate? template = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(questions);
        ChoiceLikelihoods choices = ChoiceLikelihoods.Encode(model.CreateScorer(), [.. questions], template);
        return Prepared(catalog, nameof(EvaluateChoices), choices.Evaluate, evaluation => $"{evaluation}");
    }

    private static PreparedEvaluation<T> Prepared<T>(
        SorsaCatalog catalog, string name, Func<CancellationToken, T> run, Func<T, string> told) => new(cancellationToken =>
    {
        using IChannel channel = catalog.Environment.Register(name).Start(Evaluation);
        T evaluation = run(cancellationToken);
        channel.Info(MessageSensitivity.UserData, told(evaluation));
        return evaluation;
    });

    private static SorsaEvaluation Evaluate(
        ModelEvaluation evaluation, SorsaTransformer model, EvaluationOptions options, string goldArgument)
    {
        ArgumentNullException.ThrowIfNull(model);
        return evaluation.Of(model, model.PromptColumnName, model.OutputColumnName, model.CreateScorer, options, goldArgument);
    }

    private static SorsaEvaluation Run(SorsaCatalog catalog, IDataView data, Func<ModelEvaluation, SorsaEvaluation> evaluate)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        using IChannel channel = catalog.Environment.Register(nameof(Evaluate)).Start(Evaluation);
        return evaluate(new ModelEvaluation(channel, data));
    }
}
