namespace Microsoft.ML.Sorsa.Evaluation.Prompts;

/// <summary>
/// The four examples in front of every question of minerva_math, as MinervaMathExamples.txt has them, an empty line behind each. Problems
/// and solutions are from the training part of MATH (Hendrycks et al. 2021, MIT); chosen, and ended with their closing sentence, by
/// Lewkowycz et al. (arXiv 2206.14858, appendix D.2); spelt as in lm-evaluation-harness 0.4.13 (MIT).
/// </summary>
internal static class MinervaMathExamples
{
    private const string File = "MinervaMathExamples.txt";

    public static string Text { get; } = Read();

    private static string Read()
    {
        using Stream stream = typeof(MinervaMathExamples).Assembly.GetManifestResourceStream(File)!;
        using var reader = new StreamReader(stream);

        // Whatever line ends the file was checked out with, and whether or not its last line has one.
        return reader.ReadToEnd().ReplaceLineEndings("\n").TrimEnd('\n') + "\n\n";
    }
}
