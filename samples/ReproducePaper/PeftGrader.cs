using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Evaluation;

namespace ReproducePaper;

/// <summary>How PEFT's method comparison reads an answer: what follows the last "The answer is" or "####", as a decimal number.</summary>
internal sealed partial class PeftGrader : IAnswerGrader
{
    public string Name => "peft-metamath";

    public GradedAnswer Grade(string text, string gold)
    {
        string reference = Read(gold) ?? throw new UnreadableGoldException(
            gold, Name, "it reads a number behind \"The answer is\" or \"####\"");
        string? answer = Read(text);
        return new GradedAnswer(
            answer is not null
                && decimal.Parse(answer, CultureInfo.InvariantCulture) == decimal.Parse(reference, CultureInfo.InvariantCulture),
            answer, reference);
    }

    private static string? Read(string text) =>
        Marks.Matches(text) is [.., { } last] && Number.Match(text, last.Index + last.Length) is { Success: true } number
            && decimal.TryParse(number.Value.Replace(",", "", StringComparison.Ordinal), CultureInfo.InvariantCulture, out decimal value)
                ? value.ToString(CultureInfo.InvariantCulture)
                : null;

    [GeneratedRegex("The answer is|####")]
    private static partial Regex Marks { get; }

    [GeneratedRegex(@"\G[\s:$]*-?[0-9][0-9,]*(\.[0-9]+)?|\G[\s:$]*-?\.[0-9]+")]
    private static partial Regex Number { get; }
}
