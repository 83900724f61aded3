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
        decimal reference = Read(gold) ?? throw new UnreadableGoldException(
            gold, Name, "it reads a number behind \"The answer is\" or \"####\"");
        decimal? answer = Read(text);
        return new GradedAnswer(
            answer == reference, answer?.ToString(CultureInfo.InvariantCulture), reference.ToString(CultureInfo.InvariantCulture));
    }

    private static decimal? Read(string text)
    {
        Match number = Marks.Matches(text) is [.., var mark] ? Number.Match(text, mark.Index + mark.Length) : Match.Empty;
        string digits = number.Groups[1].Value.Replace(",", "", StringComparison.Ordinal);
        return decimal.TryParse(digits, CultureInfo.InvariantCulture, out decimal value) ? value : null;
    }

    [GeneratedRegex("The answer is|####")]
    private static partial Regex Marks { get; }

    [GeneratedRegex(@"\G[\s:$]*(-?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+))")]
    private static partial Regex Number { get; }
}
