using System.Numerics;
using Microsoft.ML.Sorsa.Evaluation.Graders;
using Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>The arithmetic under the graders: identities of mathematics, and what is none of them.</summary>
[TestClass]
[TestCategory("Graders")]
public sealed class ExpressionTests
{
    [TestMethod]
    [DataRow(@"(x+1)^3", @"x^3+3x^2+3x+1", true)]
    [DataRow(@"\frac{x^2-1}{x-1}", @"x+1", true)]
    [DataRow(@"\sqrt{8}", @"2\sqrt2", true)]
    [DataRow(@"\sqrt{3+2\sqrt2}", @"1+\sqrt2", true)]
    [DataRow(@"\frac{1}{\sqrt2-1}", @"\sqrt2+1", true)]
    [DataRow(@"\sqrt[3]{2+\sqrt5}+\sqrt[3]{2-\sqrt5}", @"1", false)]
    [DataRow(@"\sqrt{x^2}", @"|x|", true)]
    [DataRow(@"\sqrt{x^2}", @"x", false)]
    [DataRow(@"\sin^2 x+\cos^2 x", @"1", true)]
    [DataRow(@"\sin 2x", @"2\sin x\cos x", true)]
    [DataRow(@"\tan\frac{\pi}{8}", @"\sqrt2-1", true)]
    [DataRow(@"\log_2 8", @"3", true)]
    [DataRow(@"\ln e^2", @"2", true)]
    [DataRow(@"2^{100}", @"1267650600228229401496703205376", true)]
    [DataRow(@"2^{100}", @"1267650600228229401496703205377", false)]
    [DataRow(@"\binom{10}{3}", @"120", true)]
    [DataRow(@"5!", @"120", true)]
    [DataRow(@"\lfloor -2.5 \rfloor", @"-3", true)]
    [DataRow(@"\lceil -2.5 \rceil", @"-2", true)]
    [DataRow(@"\sum_{i=1}^{100} i", @"5050", true)]
    [DataRow(@"\prod_{i=1}^{5} i", @"120", true)]
    [DataRow(@"\int_0^1 x^2 dx", @"\frac13", true)]
    [DataRow(@"\frac{d}{dx} x^3", @"3x^2", true)]
    [DataRow(@"\lim_{x\to 2} x^2", @"4", true)]
    [DataRow(@"1\frac{1}{2}", @"\frac32", true)]
    [DataRow(@"-1\frac{1}{2}", @"-\frac32", true)]
    [DataRow(@"3.141592653589", @"\pi", false)]
    [DataRow(@"x", @"y", false)]
    [DataRow(@"\frac{0}{0}", @"1", false)]
    [DataRow(@"x^2+1", @"x^2+1.0000001", false)]
    public void EqualityIsThatOfMathematics(string left, string right, bool equal)
    {
        Expression first = LatexReader.ReadAll(left)!, second = LatexReader.ReadAll(right)!;

        Assert.AreEqual(equal, ExpressionEquality.AreEqual(first, second, isReal: true));
        Assert.AreEqual(equal, ExpressionEquality.AreEqual(second, first, isReal: true));
    }

    /// <summary>Symbols of SymPy's are complex: what holds for real numbers alone does not hold there.</summary>
    [TestMethod]
    public void ComplexSymbolsKnowFewerIdentities()
    {
        Expression left = LatexReader.ReadAll(@"\sqrt{x^2}")!, right = LatexReader.ReadAll("|x|")!;

        Assert.IsFalse(ExpressionEquality.AreEqual(left, right, isReal: false));
    }

    [TestMethod]
    [DataRow("x +")]
    [DataRow(@"\frac{1}{")]
    [DataRow("(1, 2)")]
    [DataRow("5.")]
    [DataRow("2 @ 3")]
    [DataRow("")]
    public void WhatIsNoTermIsNotRead(string text) => Assert.IsNull(LatexReader.ReadAll(text));

    /// <summary>Python's rules of precedence, with values worked out by hand.</summary>
    [TestMethod]
    [DataRow("-2**2", -4)]
    [DataRow("2**3**2", 512)]
    [DataRow("2**-1", 0.5)]
    [DataRow("1/2/4", 0.125)]
    [DataRow("7//2 + 7%4", 6)]
    [DataRow("1_000 + 1e3", 2000)]
    [DataRow("sqrt(16) + Abs(-3)", 7)]
    [DataRow("(1 + 2)*3", 9)]
    [DataRow("4!", 24)]
    public void PythonsArithmeticIsRead(string text, double value) =>
        Assert.AreEqual(value, ExpressionEquality.RealValue(PythonExpressionReader.Read(text)!)!.Value, 1e-12);

    /// <summary>SymPy would run these.</summary>
    [TestMethod]
    [DataRow("__import__('os').system('ls')")]
    [DataRow("[x for x in range(9)]")]
    [DataRow("lambda: 0")]
    [DataRow("N + 1")]
    [DataRow("x if y")]
    [DataRow("2x")]
    [DataRow("012")]
    [DataRow("x = 5")]
    public void OtherPythonIsNotRead(string text) => Assert.IsNull(PythonExpressionReader.Read(text));

    [TestMethod]
    [DataRow("1,2", "2,1", true)]
    [DataRow(@"\{1,2\}", "1,2", true)]
    [DataRow("(1,2)", "[1,2]", false)]
    [DataRow("(2,1)", "(1,2)", false)]
    [DataRow("(2,1)", "[2,1]", true)]
    [DataRow("[1,2)", "[1.0,2)", true)]
    [DataRow(@"(0,1)\cup(2,3)", @"(2,3)\cup(0,1)", true)]
    [DataRow(@"(0,1)\cup(2,3)", @"(0,1)\cap(2,3)", false)]
    [DataRow(@"1\pm\sqrt2", @"1-\sqrt2, 1+\sqrt2", true)]
    [DataRow(@"50\%", "0.5", true)]
    [DataRow("x=5", "5", true)]
    [DataRow("x=5", "y=5", false)]
    [DataRow("x>3", "3<x", true)]
    [DataRow("2y=4x+2", "y=2x+1", true)]
    [DataRow("y=2x+2", "y=2x+1", false)]
    [DataRow(@"\begin{pmatrix}1&2\\3&4\end{pmatrix}", @"\begin{bmatrix}1&\frac42\\3&4\end{bmatrix}", true)]
    [DataRow(@"\begin{pmatrix}1&2\end{pmatrix}", @"\begin{pmatrix}1\\2\end{pmatrix}", false)]
    [DataRow(@"45^\circ,135^\circ", @"135^\circ,45^\circ", true)]
    [DataRow("1,234", "1234", true)]
    [DataRow("(1,234)", "1234", false)]
    [DataRow("0.333333", @"\frac13", true)]
    [DataRow("0.33333", @"\frac13", false)]
    public void AnswersAreComparedByMeaning(string answer, string gold, bool equal) =>
        Assert.AreEqual(equal, MathVerifyGrader.AreEqual(gold, answer));

    /// <summary>Doubles made from fractions are the nearest ones, as .NET's own division of integers that fit is.</summary>
    [TestMethod]
    public void AFractionsDoubleIsTheNearestOne()
    {
        Random random = new(5);
        for (int i = 0; i < 1_000; i++)
        {
            long up = random.NextInt64(1L << 53), down = random.NextInt64(1, 1L << 53);
            BigInteger factor = BigInteger.Pow(3, 200);

            Assert.AreEqual((double)up / down, new Rational(up * factor, down * factor).ToDouble());
            Assert.AreEqual((double)up / down, (new Rational(up, 1) / new Rational(down, 1)).ToDouble());
        }

        Assert.AreEqual(1e300, new Rational(BigInteger.Pow(10, 300), 1).ToDouble(), 1e285);
        Assert.AreEqual(Math.Pow(2, 200) / 3, new Rational(BigInteger.Pow(2, 200), 3).ToDouble());
    }
}
