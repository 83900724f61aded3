using System.Globalization;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tests.Files;

[TestClass]
[TestCategory("Files")]
public sealed class NameListTests
{
    [TestMethod]
    public void TenAreListed() => Assert.AreEqual("1, 2, 3, 4, 5, 6, 7, 8, 9, 10", NameList.Join(Numbers(10)));

    [TestMethod]
    public void TheRestIsCounted() => Assert.AreEqual("1; 2; 3; 4; 5; 6; 7; 8; 9; 10; and 990 more", NameList.Join(Numbers(1000), "; "));

    private static string[] Numbers(int count) => [.. Enumerable.Range(1, count).Select(n => n.ToString(CultureInfo.InvariantCulture))];
}
