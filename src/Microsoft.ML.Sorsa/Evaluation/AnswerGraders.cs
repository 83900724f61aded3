using Microsoft.ML.Sorsa.Evaluation.Graders;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>
/// The graders that are ready. Which one for what, and their rules in plain words: docs/graders.md. Verdicts are those of the programs
/// that are named, row by row, as far as that page says.
/// </summary>
public static class AnswerGraders
{
    /// <summary>The text is the reference, white space at both ends aside. Upper and lower case differ.</summary>
    public static IAnswerGrader ExactMatch { get; } = new ExactMatchGrader(ignoreCase: false);

    /// <summary>The text is the reference, white space at both ends and case aside.</summary>
    public static IAnswerGrader ExactMatchIgnoreCase { get; } = new ExactMatchGrader(ignoreCase: true);

    /// <summary>
    /// The last number of the text has the value of the reference's last number: 5.0 equals 5, and 1,234 equals 1234. For arithmetic whose
    /// answers have no mark. The reference needs a number.
    /// </summary>
    public static IAnswerGrader LastNumber { get; } = new LastNumberGrader();

    /// <summary>
    /// GSM-8K, strict-match of lm-evaluation-harness: the number behind the first <c>#### </c>, compared as text. The reference is the
    /// data set's answer, whole or its last line.
    /// </summary>
    public static IAnswerGrader Gsm8kStrict { get; } = new Gsm8kGrader(flexible: false);

    /// <summary>GSM-8K, flexible-extract of lm-evaluation-harness: the last number of the text, compared as text.</summary>
    public static IAnswerGrader Gsm8kFlexible { get; } = new Gsm8kGrader(flexible: true);

    /// <summary>
    /// GSM-8K as MetaMath and the SORSA paper judge it: the first number behind the last <c>The answer is: </c>, rounded to an integer.
    /// The one to compare with the paper's Table 1.
    /// </summary>
    public static IAnswerGrader Gsm8kMetaMath { get; } = new MetaMathGrader();

    /// <summary>
    /// MATH, task hendrycks_math of lm-evaluation-harness: what stands between the first and the last dollar (or the whole text) and the
    /// reference's last <c>\boxed</c>, equal by spelling. The reference is the whole solution, for this and for the other graders of MATH.
    /// </summary>
    public static IAnswerGrader MathHendrycks { get; } = new HendrycksMathGrader();

    /// <summary>
    /// MATH, task minerva_math of lm-evaluation-harness: <c>Final Answer: The final answer is ... I hope it is correct.</c>, equal by
    /// spelling or, as SymPy reads it, for all values of its symbols.
    /// </summary>
    public static IAnswerGrader MathMinerva { get; } = new MinervaMathGrader();

    /// <summary>
    /// MATH as the SORSA paper's authors judge it, in the environment that they publish, which reads no LaTeX: what follows
    /// <c>The answer is: </c>. The one to compare with the paper's Table 1. Their fault is left out: an answer that their
    /// normalisation cannot read is compared as it stands, where they call it right.
    /// </summary>
    public static IAnswerGrader MathPaper { get; } = new PaperMathGrader(readsLatex: false);

    /// <summary>
    /// As <see cref="MathPaper"/>, with SymPy's reader of LaTeX, which the authors' code asks for and their environment lacks.
    /// </summary>
    public static IAnswerGrader MathPaperLatex { get; } = new PaperMathGrader(readsLatex: true);

    /// <summary>
    /// MATH by the rules of Hugging Face's math-verify, as far as docs/graders.md says: finds mathematics anywhere in the text and
    /// compares by meaning. The one that is right most often. The reference may be a solution, or mathematics in dollars or a box.
    /// </summary>
    public static IAnswerGrader MathVerify { get; } = new MathVerifyGrader();
}
