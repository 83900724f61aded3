using System.Globalization;
using System.Reflection;
using Microsoft.ML.Sorsa.Evaluation;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>What all graders have in common, and the two that need no reference answers of others.</summary>
[TestClass]
[TestCategory("Graders")]
public sealed class AnswerGradersTests
{
    private static IEnumerable<IAnswerGrader> All => typeof(AnswerGraders).GetProperties(BindingFlags.Public | BindingFlags.Static)
        .Select(property => (IAnswerGrader)property.GetValue(null)!);

    public static IEnumerable<object[]> Graders => All.Select(grader => new object[] { grader });

    [TestMethod]
    public void EachGraderHasANameOfItsOwn()
    {
        string[] names = [.. All.Select(grader => grader.Name)];

        Assert.HasCount(names.Length, names.Distinct(StringComparer.Ordinal).ToArray());
        Assert.IsTrue(names.All(name => name.All(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter == '-')));
    }

    [TestMethod]
    [DynamicData(nameof(Graders))]
    public void NullIsRefused(IAnswerGrader grader)
    {
        Assert.ThrowsExactly<ArgumentNullException>(() => grader.Grade(null!, "#### 5"));
        Assert.ThrowsExactly<ArgumentNullException>(() => grader.Grade("5", null!));
    }

    [TestMethod]
    [DynamicData(nameof(Graders))]
    public void AReferenceWithoutAnAnswerIsNamed(IAnswerGrader grader)
    {
        string gold = grader.Name.StartsWith("exact", StringComparison.Ordinal) ? " \n " : "no answer at all";

        UnreadableGoldException error = Assert.ThrowsExactly<UnreadableGoldException>(() => grader.Grade("5", gold));

        Assert.AreEqual(gold, error.Gold);
        StringAssert.Contains(error.Message, $"'{gold}'", StringComparison.Ordinal);
        StringAssert.Contains(error.Message, grader.Name, StringComparison.Ordinal);
    }

    /// <summary>A page of text in an error would hide what it says.</summary>
    [TestMethod]
    public void ALongReferenceIsShownInPart()
    {
        string gold = new('x', 10_000);

        UnreadableGoldException error = Assert.ThrowsExactly<UnreadableGoldException>(() => AnswerGraders.LastNumber.Grade("5", gold));

        Assert.IsLessThan(400, error.Message.Length);
    }

    [TestMethod]
    [DynamicData(nameof(Graders))]
    public void ATextWithoutAnAnswerIsWrong(IAnswerGrader grader)
    {
        GradedAnswer graded = grader.Grade("", @"The answer: \boxed{5} #### 5");

        Assert.IsFalse(graded.Correct);
    }

    /// <summary>The marks that each one looks for, with a right answer behind them.</summary>
    [TestMethod]
    [DataRow("exact-match", "#### 5\\boxed{5}")]
    [DataRow("exact-match-ignore-case", "#### 5\\BOXED{5}")]
    [DataRow("last-number", "2 + 3 = 5.0")]
    [DataRow("gsm8k-strict", "2 + 3\n#### 5")]
    [DataRow("gsm8k-flexible", "2 + 3 is 5")]
    [DataRow("gsm8k-metamath", "The answer is: 5")]
    [DataRow("math-hendrycks", "It is $5$")]
    [DataRow("math-minerva", "Final Answer: The final answer is $5$. I hope it is correct.")]
    [DataRow("math-paper", "The answer is: 5")]
    [DataRow("math-paper-latex", "The answer is: 5")]
    [DataRow("math-verify", "It is $5$")]
    public void ARightAnswerIsFound(string name, string text)
    {
        IAnswerGrader grader = All.Single(grader => grader.Name == name);
        string gold = name.StartsWith("gsm8k", StringComparison.Ordinal) ? "#### 5" : "#### 5\\boxed{5}";

        Assert.IsTrue(grader.Grade(text, gold).Correct);
        Assert.IsFalse(grader.Grade(text.Replace('5', '6'), gold).Correct);
    }

    [TestMethod]
    [DataRow(" Yes\n", "Yes", true, true)]
    [DataRow("yes", "Yes", false, true)]
    [DataRow("Yes.", "Yes", false, false)]
    public void ExactMatchLooksAtNothingButTheText(string text, string gold, bool exact, bool ignoringCase)
    {
        Assert.AreEqual(exact, AnswerGraders.ExactMatch.Grade(text, gold).Correct);
        Assert.AreEqual(ignoringCase, AnswerGraders.ExactMatchIgnoreCase.Grade(text, gold).Correct);
    }

    [TestMethod]
    [DataRow("3 and then 5.00", "5", true, "5.00")]
    [DataRow("It is 1,234.", "1234", true, "1234")]
    [DataRow("10-5", "5", true, "5")]
    [DataRow("10 -5", "-5", true, "-5")]
    [DataRow("5 apples, 6 pears", "5", false, "6")]
    [DataRow("005", "5", true, "005")]
    [DataRow("0.30", ".3", true, "0.30")]
    [DataRow("9007199254740993", "9007199254740992", false, "9007199254740993")]
    [DataRow("none", "5", false, null)]
    public void TheLastNumberIsComparedByValue(string text, string gold, bool correct, string? extracted)
    {
        GradedAnswer graded = AnswerGraders.LastNumber.Grade(text, gold);

        Assert.AreEqual((correct, extracted), (graded.Correct, graded.Extracted));
    }

    /// <summary>A verdict must not depend on where it is computed.</summary>
    [TestMethod]
    [DoNotParallelize]
    public void TheCultureDoesNotMatter()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo other = (CultureInfo)CultureInfo.InvariantCulture.Clone();
            other.NumberFormat.NumberDecimalSeparator = ",";
            other.NumberFormat.NegativeSign = "~";
            CultureInfo.CurrentCulture = other;

            Assert.IsTrue(AnswerGraders.MathVerify.Grade(@"\boxed{-0.5}", @"\boxed{-\frac12}").Correct);
            Assert.IsTrue(AnswerGraders.LastNumber.Grade("-1.5", "-1.50").Correct);
            Assert.AreEqual("-5", AnswerGraders.Gsm8kMetaMath.Grade("The answer is: -5", "#### -5").Extracted);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }
}
