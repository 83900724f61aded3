using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation.Prompts;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Generation;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>
/// What an evaluation program asks a model for a question, to the character, and where it lets the answer end: numbers are comparable
/// only where both are the same. Which one for what: docs/graders.md.
/// <code>
/// EvaluationPrompt asked = EvaluationPrompt.MathMinerva;
/// SorsaTransformer model = mlContext.Sorsa().LoadModel(folder, promptTemplate: EvaluationPrompt.Template, generation: asked.Generation);
/// IReadOnlyList&lt;string&gt; prompts = asked.Render(questions);
/// </code>
/// </summary>
public sealed class EvaluationPrompt
{
    private const string ThinkStepByStep = " Let's think step by step.";
    private const string NextProblem = "Problem:";

    private readonly Func<IReadOnlyList<string>, IEnumerable<string>> _render;

    private EvaluationPrompt(string name, GenerationOptions generation, Func<IReadOnlyList<string>, IEnumerable<string>> render)
    {
        Name = name;
        Generation = generation;
        _render = render;
    }

    private EvaluationPrompt(string name, GenerationOptions generation, string before, string behind)
        : this(name, generation, questions => questions.Select(question => before + question + behind))
    {
    }

    /// <summary>
    /// How a rendered prompt goes to the model: as it stands. The tokenizer puts its BOS token in front where it has one, and special
    /// tokens that are written out are found.
    /// </summary>
    public static PromptTemplate Template { get; } = PromptTemplate.Format("{prompt}");

    /// <summary>
    /// GSM-8K as the SORSA paper's authors ask it: Alpaca's instruction prompt (<see cref="PromptTemplate.Alpaca"/>, which they train
    /// with), and behind its colon <c> Let's think step by step.</c> Greedy, at most 1,024 tokens, no stop strings.
    /// </summary>
    public static EvaluationPrompt Gsm8kPaper { get; } = OfPaper("gsm8k-paper", 1024);

    /// <summary>MATH as the SORSA paper's authors ask it: as <see cref="Gsm8kPaper"/>, with at most 2,048 tokens.</summary>
    public static EvaluationPrompt MathPaper { get; } = OfPaper("math-paper", 2048);

    /// <summary>
    /// MATH by lm-evaluation-harness, task minerva_math (3.1): Minerva's four examples, then <c>Problem:</c>, the problem, and
    /// <c>Solution:</c>. Greedy, at most 256 tokens, up to the next <c>Problem:</c>.
    /// </summary>
    public static EvaluationPrompt MathMinerva { get; } = new(
        "math-minerva", Until(NextProblem), MinervaMathExamples.Text + NextProblem + "\n", "\n\nSolution:");

    /// <summary>
    /// MATH by lm-evaluation-harness, task hendrycks_math (1.0): <c>Problem: </c>, the problem, and <c>Answer:</c>, without examples.
    /// Greedy, at most 256 tokens, up to the next <c>Problem:</c>.
    /// </summary>
    public static EvaluationPrompt MathHendrycks { get; } = new(
        "math-hendrycks", Until(NextProblem), NextProblem + " ", "\nAnswer:");

    /// <summary>What reports call the prompt: short, lower-case, without blanks.</summary>
    public string Name { get; }

    /// <summary>
    /// Greedy, with the program's limit and stop strings. Set BatchSize, or another limit, with <c>Generation with { ... }</c>.
    /// </summary>
    public GenerationOptions Generation { get; }

    /// <summary>
    /// GSM-8K by lm-evaluation-harness, task gsm8k (3.0): examples, each <c>Question: </c>, the question, <c>Answer: </c> and the answer
    /// on two lines, and an empty line behind; then the question and <c>Answer:</c>. Each question has examples of its own, drawn as that
    /// program draws them, with Python's random.Random(seed).sample in the order of the questions: only the test file's rows from the
    /// first one on have the program's examples. Greedy, at most 256 tokens, up to <c>Question:</c>, <c>&lt;/s&gt;</c> or
    /// <c>&lt;|im_end|&gt;</c>.
    /// </summary>
    /// <param name="trainData">
    /// The questions and answers that examples are drawn from, in the training file's order: which rows are drawn also follows from their
    /// number, 7,473 in GSM-8K.
    /// </param>
    /// <param name="shots">Examples in front of each question: 5 in the task; 0 for none; at most the rows of trainData.</param>
    /// <param name="seed">Where the draws start: 1234 in that program.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are fewer rows than shots.</exception>
    public static EvaluationPrompt Gsm8kFewShot(
        IReadOnlyList<(string Question, string Answer)> trainData, int shots = 5, int seed = 1234)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        if (shots < 0 || shots > trainData.Count)
        {
            throw OptionRange.Error(
                nameof(shots), shots, FormattableString.Invariant($"from 0 to {trainData.Count}, the rows of {nameof(trainData)}"),
                "Give as many rows to draw from, or ask for fewer shots");
        }

        return new EvaluationPrompt(
            FormattableString.Invariant($"gsm8k-{shots}-shot"), Until("Question:", "</s>", "<|im_end|>"), Render);

        IEnumerable<string> Render(IReadOnlyList<string> questions)
        {
            var random = new PythonRandom(seed);
            return questions.Select(question =>
                string.Concat(random.Sample(trainData.Count, shots).Select(row => Block(trainData[row]))) + Asked(question));
        }

        static string Block((string Question, string Answer) row) => $"{Asked(row.Question)} {row.Answer}\n\n";

        static string Asked(string question) => $"Question: {question}\nAnswer:";
    }

    /// <summary>The prompts for all questions of an evaluation, in the data's order; the same questions give the same prompts.</summary>
    /// <param name="questions">As they stand in the data.</param>
    public IReadOnlyList<string> Render(IReadOnlyList<string> questions)
    {
        ArgumentNullException.ThrowIfNull(questions);
        return [.. _render(questions)];
    }

    /// <summary>The name.</summary>
    public override string ToString() => Name;

    private static EvaluationPrompt OfPaper(string name, int maxNewTokens)
    {
        string[] around = PromptTemplate.Alpaca.ToString().Split("{prompt}");
        return new EvaluationPrompt(
            name, new GenerationOptions { MaxNewTokens = maxNewTokens }, around[0], around[1] + ThinkStepByStep);
    }

    /// <summary>The limit is that program's where neither task nor model names one.</summary>
    private static GenerationOptions Until(params string[] stops) => new() { MaxNewTokens = 256, StopStrings = stops };
}
