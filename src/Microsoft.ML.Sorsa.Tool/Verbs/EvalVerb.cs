using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Tool.Inputs;
using Microsoft.ML.Sorsa.Tool.Options;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Verbs;

/// <summary>How good a model is: answers that are right, perplexity of responses and of a text, multiple choice.</summary>
internal sealed class EvalVerb : Verb
{
    /// <summary>Options of the model that change how likely it finds a text; and those that do so for a response to a prompt.</summary>
    private static readonly string[] s_ofTexts = [nameof(ModelOptions.ComputeType), nameof(ModelOptions.MapWeights)],
        s_ofResponses =
        [
            .. s_ofTexts, nameof(ModelOptions.PromptColumnName), nameof(ModelOptions.PromptTemplate), nameof(ModelOptions.MaxPromptLength),
        ];

    private readonly ModelSource _model;
    private readonly OptionTable<EvaluationOptions> _options = new();

    private readonly Argument<string?> _data = new("data")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "Rows with prompts and references.",
    };

    private readonly Option<string?> _text = new("--text")
    {
        HelpName = "FILE",
        Description = "A text whose perplexity is measured.",
    };

    private readonly Option<int?> _windowLength = new("--window-length")
    {
        HelpName = "N",
        Description = "Tokens of a window over --text. Default 1024, or the model's positions.",
    };

    private readonly Option<int?> _stride = new("--stride")
    {
        HelpName = "N",
        Description = "Tokens from one window over --text to the next. Default half a window.",
    };

    private readonly Option<string?> _choices = new("--choices")
    {
        HelpName = "FILE",
        Description = "Multiple-choice questions: JSON lines with question, choices and answer.",
    };

    private readonly Option<string?> _report = new("--report") { HelpName = "FILE.html", Description = "A page with every row." };

    private readonly Option<string?> _csv = new("--csv") { HelpName = "FILE.csv", Description = "A table with every row." };

    public EvalVerb(Shell shell)
        : base(shell, "eval", "Measures how good a model is.")
    {
        _model = new ModelSource(this, shell);
        Arguments.Add(_data);
        _options.AddTo(this);
        shell.Options.AddRange(_options.Entries);
        foreach (Option option in (Option[])[_text, _windowLength, _stride, _choices, _report, _csv])
        {
            Options.Add(option);
        }

        Least(_windowLength, 2);
        Least(_stride, 1);
        Validators.Add(arguments =>
        {
            if (Number(arguments, _windowLength) is { } length && Number(arguments, _stride) is { } stride && stride > length)
            {
                arguments.AddError($"{_stride.Name} is {stride}; it must be at most {length}, which is {_windowLength.Name}.");
            }
        });
    }

    protected override JsonObject Run(Session session)
    {
        ParseResult arguments = session.Arguments;
        string? data = arguments.GetValue(_data), text = arguments.GetValue(_text), choices = arguments.GetValue(_choices);
        string? report = arguments.GetValue(_report), csv = arguments.GetValue(_csv);
        if ((data ?? text ?? choices) is null)
        {
            throw new CommandException(ExitCode.Usage, "Nothing is named to measure on. Name rows behind the model, --text or --choices.");
        }

        if (data is null && ((report ?? csv) is not null || _options.FirstSet(arguments) is not null))
        {
            string set = report is not null ? _report.Name : csv is not null ? _csv.Name : _options.FirstSet(arguments)!.Name;
            throw new CommandException(ExitCode.Usage, $"{set} is about rows, and none are named. Name a file behind the model.");
        }

        if (text is null && (arguments.GetValue(_windowLength) ?? arguments.GetValue(_stride)) is not null)
        {
            string set = arguments.GetValue(_windowLength) is null ? _stride.Name : _windowLength.Name;
            throw new CommandException(ExitCode.Usage, $"{set} is about {_text.Name}, and none is named. Name a text, or leave it out.");
        }

        // Of what train wrote, the references are what was to be learnt.
        var defaults = new EvaluationOptions();
        defaults.GoldColumnName = _model.Trained(session)?.ResponseColumnName ?? defaults.GoldColumnName;
        EvaluationOptions options = _options.Apply(arguments, defaults);
        options.CancellationToken = session.CancellationToken;
        if (options is { Grader: null, Perplexity: false })
        {
            throw new CommandException(
                ExitCode.Usage, "--perplexity is false, and no --grader is named: nothing is asked of the rows. Name a grader.");
        }

        if (data is null)
        {
            _model.Refuse(session, s_ofTexts, $"{_text.Name} and {_choices.Name}");
        }
        else if (options.Grader is null)
        {
            _model.Refuse(session, s_ofResponses, "the perplexity of responses, and no --grader is named");
        }

        Output.VerifyFile(report);
        Output.VerifyFile(csv);
        DistinctPaths.Verify([(_report.Name, report), (_csv.Name, csv)], [.. _model.Files(session), .. Read(data, text, choices)]);
        IDataView? rows = data is null ? null : RowFile.Load(
            session.Context, data, _model.Options(session).PromptColumnName, options.GoldColumnName,
            options.ResponseColumnName ?? options.GoldColumnName);
        IReadOnlyList<MultipleChoiceQuestion>? questions = choices is null ? null : MultipleChoiceQuestion.Read(choices);
        using SorsaTransformer model = _model.Open(session);

        // What does not fit the model is refused before rows are answered.
        PreparedEvaluation<TextPerplexity>? windows = text is null ? null : session.Sorsa.PrepareText(
            model, text, arguments.GetValue(_windowLength), arguments.GetValue(_stride));
        PreparedEvaluation<MultipleChoiceEvaluation>? choosing =
            questions is null ? null : session.Sorsa.PrepareChoices(model, questions);
        var result = new JsonObject();
        if (rows is not null)
        {
            SorsaEvaluation evaluation = session.Sorsa.Evaluate(model, rows, options);
            session.Say($"{evaluation}");
            result["rows"] = Json(evaluation);
            Save(report, evaluation.SaveReport);
            Save(csv, evaluation.SaveCsv);
        }

        if (windows is not null)
        {
            TextPerplexity perplexity = windows.Run(session.CancellationToken);
            session.Say($"{text}: {perplexity}");
            result["text"] = new JsonObject
            {
                ["perplexity"] = Numbers.Of(perplexity.Perplexity),
                ["loss"] = Numbers.Of(perplexity.Loss),
                ["tokens"] = perplexity.Tokens,
            };
        }

        if (choosing is not null)
        {
            MultipleChoiceEvaluation evaluation = choosing.Run(session.CancellationToken);
            session.Say($"{evaluation}");
            result["choices"] = new JsonObject
            {
                ["questions"] = evaluation.Questions.Count,
                ["correct"] = evaluation.Correct,
                ["accuracy"] = Numbers.Of(evaluation.Accuracy),
                ["normalizedAccuracy"] = Numbers.Of(evaluation.NormalizedAccuracy),
            };
        }

        return result;
    }

    /// <summary>The files of rows, text and questions.</summary>
    private static IEnumerable<string> Read(string? data, string? text, string? choices) =>
        [.. data is null ? [] : RowFile.All(data), .. new[] { text, choices }.OfType<string>()];

    private static void Save(string? path, Action<string> save)
    {
        if (path is not null)
        {
            Output.Write(path, () => save(path));
        }
    }

    private static JsonObject Json(SorsaEvaluation evaluation) => new()
    {
        ["count"] = evaluation.Answers.Count,
        ["grader"] = evaluation.Grader,
        ["correct"] = evaluation.Correct,
        ["graded"] = evaluation.Graded,
        ["failed"] = evaluation.Failed,
        ["accuracy"] = Numbers.Of(evaluation.Accuracy),
        ["intervalLower"] = Numbers.Of(evaluation.Interval.Lower),
        ["intervalUpper"] = Numbers.Of(evaluation.Interval.Upper),
        ["perplexity"] = Numbers.Of(evaluation.Perplexity),
        ["loss"] = Numbers.Of(evaluation.Loss),
        ["responseTokens"] = evaluation.ResponseTokens,
        ["answersPerSecond"] = Numbers.Of(evaluation.Throughput),
    };
}
