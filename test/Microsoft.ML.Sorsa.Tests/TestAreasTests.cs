using System.Reflection;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>Each area of tests can be run alone: CONTRIBUTING.md, "Test".</summary>
[TestClass]
[TestCategory("Architecture")]
public sealed partial class TestAreasTests
{
    private static readonly Type[] s_classes = [.. typeof(TestAreasTests).Assembly.GetTypes()
        .Where(type => type.IsDefined(typeof(TestClassAttribute)))
        .Where(type => type.GetMethods().Any(method => method.IsDefined(typeof(TestMethodAttribute))))];

    [TestMethod]
    public void EveryTestClassHasAnArea()
    {
        string[] without = [.. s_classes.Where(type => Areas(type).Length == 0).Select(type => type.FullName!)];

        Assert.IsNotEmpty(s_classes);
        Assert.IsEmpty(without, string.Join(", ", without));
    }

    [TestMethod]
    public void TheAreasAreThoseThatAreWrittenDown()
    {
        string text = File.ReadAllText(Path.Combine(TestData.Root, "CONTRIBUTING.md"));
        string[] listed = Sentence.Match(text).Groups[1].Value.Split(',', StringSplitOptions.TrimEntries);

        Assert.AreEqual(Sorted(listed), Sorted(s_classes.SelectMany(Areas).Distinct(StringComparer.Ordinal)));
    }

    private static string[] Areas(Type type) =>
    [
        .. type.GetCustomAttributes<TestCategoryAttribute>().SelectMany(category => category.TestCategories)
            .Except([SlowTestAttribute.Category]),
    ];

    private static string Sorted(IEnumerable<string> areas) => string.Join(", ", areas.Order(StringComparer.Ordinal));

    [GeneratedRegex(@"The areas are ([\w\s,]+)\.")]
    private static partial Regex Sentence { get; }
}
